"""The contract as a test class.

    class TestMyConnector(ConnectorContract):
        @pytest.fixture
        def connector(self): ...
        @pytest.fixture
        def calendar(self): ...
        @pytest.fixture
        def other_party(self): ...

The events of the suite lie between February 2026 and March 2028; a connector that looks only so
far from its clock needs one that stands there. Fixtures of the class are made for each case, so
what is costly (a server, a session) is better a fixture of the module that they hand out.

Cases follow the declared capabilities: what a provider says it cannot do is not asked of it, and
what it says it can do is. A fixture `provider` lets the suite listen to a provider that does so.
"""

from connectors.testing.cases.invitations import InvitationCases
from connectors.testing.cases.pushes import PushCases
from connectors.testing.cases.reading import ReadingCases
from connectors.testing.cases.series import SeriesCases
from connectors.testing.cases.writing import WritingCases
from connectors.testing.party import Breakage, OtherParty

__all__ = ["Breakage", "ConnectorContract", "OtherParty"]


class ConnectorContract(ReadingCases, WritingCases, SeriesCases, InvitationCases, PushCases):
    """Everything that the bridge relies on."""
