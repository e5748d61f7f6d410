"""HTTP: requests as somebody declares or pastes them, the answers, and one client per actor that sends them."""
