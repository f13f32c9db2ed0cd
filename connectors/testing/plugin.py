"""The pytest plugin that installing this package brings: readable failures in the suite's cases."""

import pytest

pytest.register_assert_rewrite("connectors.testing.contract", "connectors.testing.cases")
