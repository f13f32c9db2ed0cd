"""ConvertId, ResolveNames, GetServerTimeZones and GetUserConfiguration: small fixed answers."""

from datetime import timedelta

from connectors.sandbox.exchange.call import Call, Payload, children
from connectors.sandbox.exchange.errors import EwsError
from connectors.sandbox.exchange.soap import TYPES, Element, child, m, t, text
from connectors.sandbox.exchange.values import mailbox as mailbox_element
from connectors.sandbox.exchange.zones import golden

INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"


def convert_id(call: Call) -> Element:
    """ConvertId: EwsId to EwsId only; the mailbox that the id belongs to is named."""

    def one(element: Element) -> Payload:
        identifier = element.get("Id")
        owner = call.world.mailbox_of_id(identifier)
        if call.body.get("DestinationFormat") != "EwsId" or element.get("Format") != "EwsId":
            raise EwsError("ErrorInvalidIdMalformed")
        made = m("AlternateId", Format="EwsId", Id=identifier, Mailbox=owner.address)
        made.set(f"{{{INSTANCE}}}type", "t:AlternateIdType")
        assert made.nsmap["t"] == TYPES
        return [made]

    return call.answer(children(call.body, "m:SourceIds"), one)


def resolve_names(call: Call) -> Element:
    """ResolveNames among the sandbox's mailboxes."""

    def once() -> Payload:
        wanted = text(call.body, "m:UnresolvedEntry").lower().removeprefix("smtp:")
        found = [
            t("Resolution", mailbox_element(mailbox.name, mailbox.address))
            for mailbox in call.world.mailboxes.values()
            if wanted in mailbox.address or wanted in mailbox.name.lower()
        ]
        if not found:
            raise EwsError("ErrorNameResolutionNoResults", "No results were found.")
        count = str(len(found))
        return [m("ResolutionSet", *found, TotalItemsInView=count, IncludesLastItemInRange="true")]

    return call.answer_once(once)


def server_time_zones(call: Call) -> Element:
    """GetServerTimeZones: names, and the zone's present standard offset as its only period."""
    wanted = {line.text for line in children(call.body, "m:Ids")}

    def once() -> Payload:
        return [m("TimeZoneDefinitions", *(
            _definition(call, name) for name in golden() if not wanted or name in wanted
        ))]  # fmt: skip

    return call.answer_once(once)


def _definition(call: Call, name: str) -> Element:
    if call.body.get("ReturnFullTimeZoneData", "true") in ("false", "0"):
        return t("TimeZoneDefinition", Id=name, Name=name)
    january = call.world.now().replace(month=1, day=15, hour=12, tzinfo=None)
    offset = january.replace(tzinfo=call.world.zones.rules(name)).utcoffset() or timedelta()
    minutes = -int(offset.total_seconds()) // 60
    bias = f"{'-' if minutes < 0 else ''}PT{abs(minutes) // 60}H{abs(minutes) % 60}M"
    period = t("Period", Bias=bias, Name="Standard", Id="std")
    to_period = t("Transition", t("To", "std", Kind="Period"))
    to_group = t("Transition", t("To", "0", Kind="Group"))
    return t(
        "TimeZoneDefinition",
        t("Periods", period),
        t("TransitionsGroups", t("TransitionsGroup", to_period, Id="0")),
        t("Transitions", to_group),
        Id=name,
        Name=name,
    )


def user_configuration(call: Call) -> Element:
    """GetUserConfiguration: nobody stored any."""

    def once() -> Payload:
        name = child(call.body, "m:UserConfigurationName")
        assert name is not None
        raise EwsError("ErrorItemNotFound")

    return call.answer_once(once)
