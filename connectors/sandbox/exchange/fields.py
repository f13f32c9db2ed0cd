"""The properties of a calendar item, in the order in which the schema wants their elements.

Source: ItemType and CalendarItemType of the EWS schema; which may be written and which may be
asked of FindItem and SyncFolderItems, from the "Calendar items" pages of the EWS reference.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "text", "boolean", "integer", "instant", "words", "body", "attendees", "recurrence", "zone",
    "choice", "other",
]  # fmt: skip
SENSITIVITIES = ("Normal", "Personal", "Private", "Confidential")
IMPORTANCES = ("Low", "Normal", "High")
STATUSES = ("Free", "Tentative", "Busy", "OOF", "WorkingElsewhere", "NoData")
RESPONSES = ("Unknown", "Organizer", "Tentative", "Accept", "Decline", "NoResponseReceived")


@dataclass(frozen=True)
class Field:
    """One property. `writable` by a client; `find`: FindItem and SyncFolderItems may return it;
    `default`: part of the Default shape; `series`: not to be set on one occurrence."""

    uri: str
    kind: Kind
    writable: bool = False
    find: bool = True
    default: bool = False
    series: bool = False
    longest: int | None = None
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The element's name."""
        return self.uri.partition(":")[2]


def _field(
    uri: str, kind: Kind, flags: str = "", choices: tuple[str, ...] = (), longest: int | None = None
) -> Field:
    """Flags: w = writable, d = in the Default shape, g = GetItem only, s = of the series."""
    return Field(
        uri,
        kind,
        writable="w" in flags,
        find="g" not in flags,
        default="d" in flags,
        series="s" in flags,
        longest=longest,
        choices=choices,
    )


FIELDS = (
    _field("item:MimeContent", "text", "wg"),
    _field("item:ItemId", "other", "d"),
    _field("item:ParentFolderId", "other"),
    _field("item:ItemClass", "text", "w"),
    _field("item:Subject", "text", "wd", longest=255),
    _field("item:Sensitivity", "choice", "w", SENSITIVITIES),
    _field("item:Body", "body", "wg"),
    _field("item:Attachments", "other", "g"),
    _field("item:DateTimeReceived", "instant"),
    _field("item:Size", "integer"),
    _field("item:Categories", "words", "w"),
    _field("item:Importance", "choice", "w", IMPORTANCES),
    _field("item:InReplyTo", "text", "w"),
    _field("item:IsSubmitted", "boolean"),
    _field("item:IsDraft", "boolean"),
    _field("item:IsFromMe", "boolean"),
    _field("item:IsResend", "boolean"),
    _field("item:IsUnmodified", "boolean"),
    _field("item:InternetMessageHeaders", "other", "g"),
    _field("item:DateTimeSent", "instant"),
    _field("item:DateTimeCreated", "instant"),
    _field("item:ResponseObjects", "other"),
    _field("item:ReminderDueBy", "instant", "w"),
    _field("item:ReminderIsSet", "boolean", "w"),
    _field("item:ReminderNextTime", "instant"),
    _field("item:ReminderMinutesBeforeStart", "integer", "w"),
    _field("item:DisplayCc", "text"),
    _field("item:DisplayTo", "text"),
    _field("item:HasAttachments", "boolean", "d"),
    _field("item:ExtendedProperty", "other", "w"),
    _field("item:Culture", "text", "w"),
    _field("item:EffectiveRights", "other"),
    _field("item:LastModifiedName", "text"),
    _field("item:LastModifiedTime", "instant"),
    _field("item:IsAssociated", "boolean"),
    _field("item:WebClientReadFormQueryString", "text"),
    _field("item:WebClientEditFormQueryString", "text"),
    _field("item:ConversationId", "other"),
    _field("item:UniqueBody", "other", "g"),
    _field("item:TextBody", "other", "g"),
    _field("calendar:UID", "text", "ws"),
    _field("calendar:RecurrenceId", "instant"),
    _field("calendar:DateTimeStamp", "instant"),
    _field("calendar:Start", "instant", "wd"),
    _field("calendar:End", "instant", "wd"),
    _field("calendar:OriginalStart", "instant", "g"),
    _field("calendar:IsAllDayEvent", "boolean", "w"),
    _field("calendar:LegacyFreeBusyStatus", "choice", "wd", STATUSES),
    _field("calendar:Location", "text", "wd", longest=255),
    _field("calendar:When", "text", "w"),
    _field("calendar:IsMeeting", "boolean"),
    _field("calendar:IsCancelled", "boolean"),
    _field("calendar:IsRecurring", "boolean", "d"),
    _field("calendar:MeetingRequestWasSent", "boolean"),
    _field("calendar:IsResponseRequested", "boolean", "w"),
    _field("calendar:CalendarItemType", "other", "d"),
    _field("calendar:MyResponseType", "choice", "", RESPONSES),
    _field("calendar:Organizer", "other", "d"),
    _field("calendar:RequiredAttendees", "attendees", "wg"),
    _field("calendar:OptionalAttendees", "attendees", "wg"),
    _field("calendar:Resources", "attendees", "wg"),
    _field("calendar:ConflictingMeetingCount", "integer"),
    _field("calendar:AdjacentMeetingCount", "integer"),
    _field("calendar:ConflictingMeetings", "other", "g"),
    _field("calendar:AdjacentMeetings", "other", "g"),
    _field("calendar:Duration", "text"),
    _field("calendar:TimeZone", "text", "g"),
    _field("calendar:AppointmentReplyTime", "instant"),
    _field("calendar:AppointmentSequenceNumber", "integer", "g"),
    _field("calendar:AppointmentState", "integer"),
    _field("calendar:Recurrence", "recurrence", "wgs"),
    _field("calendar:FirstOccurrence", "other", "g"),
    _field("calendar:LastOccurrence", "other", "g"),
    _field("calendar:ModifiedOccurrences", "other", "g"),
    _field("calendar:DeletedOccurrences", "other", "g"),
    _field("calendar:MeetingTimeZone", "other", "g"),
    _field("calendar:StartTimeZone", "zone", "w"),
    _field("calendar:EndTimeZone", "zone", "w"),
    _field("calendar:ConferenceType", "integer", "w"),
    _field("calendar:AllowNewTimeProposal", "boolean", "w"),
    _field("calendar:IsOnlineMeeting", "boolean", "w"),
    _field("calendar:MeetingWorkspaceUrl", "text", "w"),
    _field("calendar:NetShowUrl", "text", "w"),
    _field("calendar:StartWallClock", "instant"),
    _field("calendar:EndWallClock", "instant"),
    _field("calendar:StartTimeZoneId", "text"),
    _field("calendar:EndTimeZoneId", "text"),
    _field("calendar:JoinOnlineMeetingUrl", "text"),
    _field("calendar:IsOrganizer", "boolean"),
)
BY_URI = {field.uri: field for field in FIELDS}
BY_NAME = {field.name: field for field in FIELDS}
ORDER = {field.uri: position for position, field in enumerate(FIELDS)}
