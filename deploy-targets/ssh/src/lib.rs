//! Plain servers over ssh, and this machine by the same steps.
