"""What people see in a browser: the dashboard for administrators, and the page where a user gives
consent. Server-rendered; works without JavaScript."""
