//! permessage-deflate as the peers negotiate it (RFC 7692, section 7.1), read independently of the crate.

use crate::head::Head;

/// The parameters of an offer or of an answer.
#[derive(Debug, Default)]
pub(crate) struct Deflate {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<Bits>,
    client_max_window_bits: Option<Bits>,
}

/// `None`: the parameter has no value.
type Bits = Option<u8>;

impl Deflate {
    /// What is offered in a request, as far as it is valid.
    pub(crate) fn offers(request: &Head) -> Vec<Self> {
        request.list(FIELD).filter_map(|element| Self::parse(element, true)).collect()
    }

    /// What an answer says; there must be nothing but permessage-deflate, once.
    pub(crate) fn answer(answer: &Head) -> Option<Self> {
        let elements: Vec<_> = answer.list(FIELD).collect();
        match elements[..] {
            [] => None,
            [element] => Some(Self::parse(element, false).expect("a valid answer")),
            _ => panic!("more than one extension: {elements:?}"),
        }
    }

    fn parse(element: &str, is_offer: bool) -> Option<Self> {
        let mut parts = element.split(';').map(str::trim);
        if parts.next() != Some("permessage-deflate") {
            return None;
        }
        let mut deflate = Self::default();
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim(), Some(window_bits(value.trim())?)),
                None => (part, None),
            };
            let repeated = match (name, value) {
                ("server_no_context_takeover", None) => {
                    std::mem::replace(&mut deflate.server_no_context_takeover, true)
                }
                ("client_no_context_takeover", None) => {
                    std::mem::replace(&mut deflate.client_no_context_takeover, true)
                }
                ("server_max_window_bits", Some(_)) => {
                    deflate.server_max_window_bits.replace(value).is_some()
                }
                ("client_max_window_bits", value) if is_offer || value.is_some() => {
                    deflate.client_max_window_bits.replace(value).is_some()
                }
                _ => return None,
            };
            if repeated {
                return None;
            }
        }
        Some(deflate)
    }

    /// Tells whether this is an answer that the offer allows.
    pub(crate) fn answers(&self, offer: &Self) -> bool {
        let server = match offer.server_max_window_bits {
            Some(most) => self.server_max_window_bits.is_some_and(|bits| bits <= most),
            None => true,
        };
        let client = match (self.client_max_window_bits, offer.client_max_window_bits) {
            (None, _) | (Some(_), Some(None)) => true,
            (Some(bits), Some(most)) => bits <= most,
            (Some(_), None) => false,
        };
        let takeover = self.server_no_context_takeover || !offer.server_no_context_takeover;
        server && client && takeover
    }
}

fn window_bits(value: &str) -> Option<u8> {
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (8..=15).find(|bits: &u8| bits.to_string() == value)
}

const FIELD: &str = "sec-websocket-extensions";
