"""Google Calendar (API v3) through the official client."""
