//! [`tell_all`]: many who wait.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Calls what is others' code for each of `waiting`, whichever of them panics; the first panic then goes on.
pub(crate) fn tell_all<T>(waiting: impl IntoIterator<Item = T>, tell: impl Fn(T)) {
    let mut panic = None;
    for one in waiting {
        if let Err(caught) = catch_unwind(AssertUnwindSafe(|| tell(one))) {
            panic.get_or_insert(caught);
        }
    }
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
}
