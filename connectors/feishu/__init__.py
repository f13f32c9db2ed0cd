"""Feishu and Lark calendars (Calendar v4 API) through the official SDK."""
