use super::*;
use crate::error::ErrorKind;

#[test]
fn attempts_that_fail_are_one_loss() {
    let shared = Shared::new(&Group::new(), Limits::default()).unwrap();
    let mut events = shared.subscribe_events();
    let since = || match *shared.status.borrow() {
        Status::Disconnected { since, .. } => since,
        ref status => panic!("{status:?}"),
    };
    let mut lost = Vec::new();
    for before in [Status::Connected, Status::Connecting, Status::Connected] {
        shared.set_status(before);
        shared.disconnected(&Error::new(ErrorKind::Io, "away"));
        lost.push((since(), events.try_recv().is_ok()));
    }
    assert_eq!(lost[0].0, lost[1].0);
    assert!(lost[1].0 < lost[2].0);
    assert_eq!(lost.iter().map(|(_, is_told)| *is_told).collect::<Vec<_>>(), [true, false, true]);
}

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
