"""How an event's attendees are shown, and whom a change would disturb."""

from connectors.sandbox.feishu.calls import Call
from connectors.sandbox.feishu.content import Json
from connectors.sandbox.feishu.state import Attendee, Event


def show_attendees(call: Call, event: Event) -> list[Json]:
    """All attendee lines of an event."""
    return [show_attendee(call, person) for person in event.attendees.values()]


def show_attendee(call: Call, person: Attendee) -> Json:
    """One attendee line."""
    shown: Json = {
        "type": person.type,
        "attendee_id": person.id,
        "rsvp_status": person.rsvp,
        "is_optional": person.optional,
        "is_organizer": person.organizer,
        "is_external": person.type == "third_party",
        "display_name": person.name,
    }
    match person.type:
        case "user":
            shown |= call.visible_id(call.world.users[person.target])
        case "chat":
            shown["chat_id"] = person.target
        case "resource":
            shown["room_id"] = person.target
        case "third_party":
            shown["third_party_email"] = person.target
    return shown


def notify(call: Call, event: Event, why: str, *, wanted: bool | None = None) -> None:
    """Count the bot messages and mails that a change sends out, unless it asked for silence.

    `need_notification` is true unless the request says otherwise.
    """
    if wanted is None:
        wanted = call.body.get("need_notification") is not False
    if not wanted:
        return
    for person in event.attendees.values():
        tell(call, event, person, why)


def tell(call: Call, event: Event, person: Attendee, why: str) -> None:
    """One bot message or mail per reader; rooms read nothing, nobody is told of his own deeds."""
    world, subject = call.world, str(event.content.get("summary", ""))
    if person.type == "third_party":
        world.mail(person.target, subject, why)
    elif person.type == "user" and person.target != call.user.open_id:
        world.mail(world.users[person.target].email or person.target, subject, why)
    elif person.type == "chat":
        for member in world.chats[person.target].members:
            if member is not call.user:
                world.mail(member.email or member.open_id, subject, why)
