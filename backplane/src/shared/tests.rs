use super::*;
use crate::error::ErrorKind;

#[test]
fn what_is_closed_stays_so() {
    let shared = Shared::new(&Group::new(), Limits::default()).unwrap();
    let mut events = shared.subscribe_events();
    shared.set_status(Status::Connected);
    shared.set_status(Status::Closed);
    shared.set_status(Status::Connected);
    shared.disconnected(&Error::new(ErrorKind::Io, "late"));
    assert!(matches!(*shared.status.borrow(), Status::Closed));
    assert!(events.try_recv().is_err(), "nothing has happened");
}
