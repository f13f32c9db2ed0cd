"""What stands on the wire: envelopes, faults, the structure of requests, the control interface."""

import re

import pytest
import requests

ALICE = "alice@office.example"
IDS = "<m:FolderIds><t:DistinguishedFolderId Id='calendar'/></m:FolderIds>"
SHAPE = "<m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>"


def test_the_path_has_no_letter_case(post):
    for path in ("/EWS/Exchange.asmx", "/ews/exchange.asmx", "/EWS/EXCHANGE.ASMX"):
        answer = post(f"<m:GetFolder>{SHAPE}{IDS}</m:GetFolder>", path=path)
        assert answer.status_code == 200
        assert "<t:DisplayName>Calendar</t:DisplayName>" in answer.text
        assert 'MajorVersion="15"' in answer.text


def test_an_item_error_leaves_the_others_alone(post, sandbox):
    fields = {"subject": "x", "start": "2027-03-01T09:00:00", "end": "2027-03-01T10:00:00"}
    made = sandbox.edit(ALICE, "create", fields)["id"]
    gone = sandbox.edit(ALICE, "create", fields)["id"]
    sandbox.edit(ALICE, "remove", gone)
    answer = post(
        "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:ItemIds>"
        f"<t:ItemId Id='{gone}'/><t:ItemId Id='{made}'/></m:ItemIds></m:GetItem>"
    )
    assert answer.status_code == 200
    codes = re.findall(r"<m:ResponseCode>(\w+)</m:ResponseCode>", answer.text)
    assert codes == ["ErrorItemNotFound", "NoError"]
    order = r"<m:MessageText>.*<m:ResponseCode>.*<m:DescriptiveLinkKey>0<.*<m:Items/>"
    assert re.search(order, answer.text)


def item(inside: str) -> str:
    return (
        "<m:CreateItem SendMeetingInvitations='SendToNone'><m:Items><t:CalendarItem>"
        f"{inside}</t:CalendarItem></m:Items></m:CreateItem>"
    )


START, END = "<t:Start>2027-03-01T09:00:00Z</t:Start>", "<t:End>2027-03-01T10:00:00Z</t:End>"


@pytest.mark.parametrize(
    "body",
    [
        item(START + "<t:Subject>late</t:Subject>"),
        item(END + START),
        item("<t:Start>tomorrow</t:Start>"),
        item("<t:IsAllDayEvent>yes</t:IsAllDayEvent>"),
        item("<t:Sensitivity>Secret</t:Sensitivity>"),
        item("<t:Colour>red</t:Colour>"),
        item("<t:Body>no type</t:Body>"),
        item(START + END + "<t:Recurrence><t:DailyRecurrence/></t:Recurrence>"),
        item(
            START + END + "<t:Recurrence><t:AbsoluteYearlyRecurrence><t:Month>May</t:Month>"
            "<t:DayOfMonth>1</t:DayOfMonth></t:AbsoluteYearlyRecurrence><t:NoEndRecurrence>"
            "<t:StartDate>2027-05-01</t:StartDate></t:NoEndRecurrence></t:Recurrence>"
        ),
        item("").replace("SendToNone", "SendToSome"),
        f"<m:GetFolder>{IDS}{SHAPE}</m:GetFolder>",
        "<m:UpdateItem><m:ItemChanges/></m:UpdateItem>",
        "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
        "<m:SyncFolderId><t:DistinguishedFolderId Id='calendar'/></m:SyncFolderId>"
        "</m:SyncFolderItems>",
    ],
    ids=["order", "order of times", "no time", "no boolean", "choice", "unknown", "attribute",
         "no interval", "month before day", "attribute value", "shape last", "empty", "no limit"],
)  # fmt: skip
def test_what_breaks_the_schema_is_refused_as_a_whole(post, sandbox, body):
    answer = post(body)
    assert answer.status_code == 500
    assert "ErrorSchemaValidation</e:ResponseCode>" in answer.text
    assert "<t:Violation>" in answer.text
    assert sandbox.edit(ALICE, "events") == []


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("<m:CreateItem><m:Items><t:CalendarItem/></m:Items></m:CreateItem>",
         "ErrorSendMeetingInvitationsRequired"),
        ("<m:DeleteItem DeleteType='HardDelete'><m:ItemIds><t:ItemId Id='{0}'/></m:ItemIds>"
         "</m:DeleteItem>", "ErrorSendMeetingCancellationsRequired"),
        ("<m:UpdateItem ConflictResolution='AlwaysOverwrite'><m:ItemChanges><t:ItemChange>"
         "<t:ItemId Id='{0}'/>{1}</t:ItemChange></m:ItemChanges></m:UpdateItem>",
         "ErrorSendMeetingInvitationsOrCancellationsRequired"),
        ("<m:UpdateItem ConflictResolution='AlwaysOverwrite' "
         "SendMeetingInvitationsOrCancellations='SendToNone'><m:ItemChanges><t:ItemChange>"
         "<t:ItemId Id='{0}'/>{1}</t:ItemChange></m:ItemChanges></m:UpdateItem>",
         "ErrorChangeKeyRequiredForWriteOperations"),
    ],
    ids=["create", "delete", "update", "change key"],
)  # fmt: skip
def test_what_a_calendar_item_needs_is_demanded(post, sandbox, operation, error):
    fields = {"subject": "x", "start": "2027-03-01T09:00:00", "end": "2027-03-01T10:00:00"}
    made = sandbox.edit(ALICE, "create", fields)["id"]
    updates = (
        "<t:Updates><t:DeleteItemField><t:FieldURI FieldURI='calendar:Location'/>"
        "</t:DeleteItemField></t:Updates>"
    )
    answer = post(operation.format(made, updates)).text
    assert f"<m:ResponseCode>{error}</m:ResponseCode>" in answer
    assert [shown["id"] for shown in sandbox.edit(ALICE, "events")] == [made]


def test_defaults_of_a_bare_item(post, sandbox):
    assert "NoError" in post(item(START + END)).text
    [shown] = sandbox.edit(ALICE, "events")
    assert (shown["status"], shown["sensitivity"], shown["reminder"]) == ("Busy", "Normal", 15)
    assert (shown["zone"], shown["all_day"]) == ("UTC", False)


def test_naive_times_are_in_the_items_or_the_requests_zone(post, sandbox):
    naive = item("<t:Start>2027-03-01T09:00:00</t:Start><t:End>2027-03-01T10:00:00</t:End>")
    context = (
        "<t:TimeZoneContext><t:TimeZoneDefinition Id='China Standard Time'/></t:TimeZoneContext>"
    )
    post(naive)
    post(naive, header=context)
    own = "</t:End><t:StartTimeZone Id='Tokyo Standard Time'/>"
    post(naive.replace("</t:End>", own), header=context)
    starts = [shown["start"] for shown in sandbox.edit(ALICE, "events")]
    assert starts == ["2027-03-01T09:00:00Z", "2027-03-01T01:00:00Z", "2027-03-01T00:00:00Z"]


def test_unknown_zones_and_long_texts_are_refused(post, sandbox):
    zone = item(START + END + "<t:StartTimeZone Id='Atlantis Standard Time'/>")
    assert "<m:ResponseCode>ErrorTimeZone</m:ResponseCode>" in post(zone).text
    long = item(f"<t:Subject>{'x' * 256}</t:Subject>{START}{END}")
    assert "ErrorPropertyValidationFailure" in post(long).text
    assert sandbox.edit(ALICE, "events") == []


def test_an_unknown_operation_and_no_soap_at_all_are_faults(post, sandbox):
    assert "ErrorInvalidRequest" in post("<m:FlyToTheMoon/>").text
    answer = requests.post(sandbox.ews_url, b"hello", auth=(ALICE, "secret"), timeout=30)
    assert (answer.status_code, "Fault" in answer.text) == (500, True)


def test_a_lost_answer_leaves_the_event_and_a_lost_request_does_not(post, sandbox):
    for action in ("drop_before", "drop_after"):
        sandbox.act("faults", [{"match": "op=CreateItem$", "action": action}])
        with pytest.raises(requests.ConnectionError):
            post(item(START + END))
        assert len(sandbox.edit(ALICE, "events")) == (action == "drop_after")


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("short", 'IncludesLastItemInRange="true"'),
        ("empty", "<t:Items/>"),
        ("cut", 'IncludesLastItemInRange="false"'),
        ("inner_busy", 'Name="InnerErrorResponseCode">ErrorServerBusy'),
        ("error:ErrorMailboxStoreUnavailable", "ErrorMailboxStoreUnavailable"),
    ],
)
def test_answers_can_be_made_to_lie(post, sandbox, name, sign):
    for _ in range(4):
        post(item(START + END))
    sandbox.act("faults", [{"match": "op=FindItem$", "action": "rewrite", "name": name}])
    find = (
        "<m:FindItem Traversal='Shallow'><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>"
        "</m:ItemShape><m:ParentFolderIds><t:DistinguishedFolderId Id='calendar'/>"
        "</m:ParentFolderIds></m:FindItem>"
    )
    spoilt, whole = post(find).text, post(find).text
    assert sign in spoilt
    assert spoilt.count("<t:ItemId") < whole.count("<t:ItemId") == 4


def test_everything_can_be_done_over_the_control_interface(sandbox):
    def act(what, **body):
        answer = requests.post(f"{sandbox.url}/_sandbox/{what}", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def edit(action, *values):
        return act("edit", address="dan@office.example", action=action, values=values)

    act("mailboxes", address="dan@office.example", zone="Asia/Tokyo")
    rule = {"kind": "DailyRecurrence", "start": "2027-03-01", "number": 4}
    times = {"start": "2027-03-01T09:00:00", "end": "2027-03-01T10:00:00"}
    made = edit("create", {"subject": "S", "recurrence": rule} | times)
    day = edit("occurrence", made["id"], "2027-03-02")["result"]
    edit("change", day, {"subject": "T"})
    state = requests.get(f"{sandbox.url}/_sandbox/state", timeout=30).json()
    [shown] = state["dan@office.example"]["folders"]["Calendar"]
    assert shown["exceptions"]["2027-03-02"]["subject"] == "T"
    bad = requests.post(f"{sandbox.url}/_sandbox/switches", json={"no_such_switch": 1}, timeout=30)
    assert bad.status_code == 400
