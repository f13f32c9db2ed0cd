"""The other end of Feishu's wire: Calendar v4, OAuth, contacts, webhook and long connection.

Error codes, limits and field rules follow the public documentation on open.feishu.cn; what it
leaves open is a switch in `FeishuSwitches`.
"""

from connectors.sandbox.feishu.errors import RefusalError
from connectors.sandbox.feishu.server import FeishuSandbox
from connectors.sandbox.feishu.switches import FeishuSwitches

__all__ = ["FeishuSandbox", "FeishuSwitches", "RefusalError"]
