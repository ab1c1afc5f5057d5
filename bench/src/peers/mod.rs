//! What it takes to drive each peer, as its documentation says and as it is fastest.
