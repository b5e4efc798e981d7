"""Log -> centres: messages of the delivery protocol and the state machine that delivers (docs/formats.md, Uplink)."""
