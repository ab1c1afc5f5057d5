//! [`NodeId`]: which node it is.

use std::fmt;

/// Which node of a backplane it is: a random number, made when the node
/// [attaches](crate::Backplane::attach).
///
/// # Examples
///
/// ```no_run
/// # fn example(backplane: &wsweave_backplane::Backplane) {
/// println!("this is node {}", backplane.node());
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u128);

impl NodeId {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}
