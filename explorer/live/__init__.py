"""The decoder behind a WebSocket."""
