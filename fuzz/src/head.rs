//! Heads of opening handshakes, read strictly, and made of parts.

use arbitrary::Arbitrary;

/// A head as RFC 9112 has it.
#[derive(Debug)]
pub(crate) struct Head {
    /// The request line or the status line.
    pub(crate) start: String,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    /// What is behind it.
    pub(crate) rest: Vec<u8>,
}

impl Head {
    /// Parses what we write, in which nothing is unusual.
    pub(crate) fn parse_strictly(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
        let head = str::from_utf8(&bytes[..end]).expect("a head is ASCII");
        assert!(head.is_ascii(), "{head}");
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("a field has a name and a value");
            assert!(!line.contains(['\r', '\n', '\0']) && is_token(name), "{line:?}");
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Self { fields: fields.collect(), start, rest: bytes[end + 4..].to_vec() }
    }

    /// Parses, as any HTTP implementation would, what was taken for a proper head.
    pub(crate) fn parse(bytes: &[u8], is_request: bool) -> Self {
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let (start, size) = if is_request {
            let mut request = httparse::Request::new(&mut fields);
            let size = request.parse(bytes).expect("a proper request").unwrap();
            let part = |part: Option<&str>| part.unwrap_or_default().to_owned();
            let start = [part(request.method), part(request.path)].join(" ");
            (format!("{start} HTTP/1.{}", request.version.unwrap_or_default()), size)
        } else {
            let mut response = httparse::Response::new(&mut fields);
            let size = response.parse(bytes).expect("a proper answer").unwrap();
            let [version, code] =
                [response.version.map(u16::from), response.code].map(Option::unwrap_or_default);
            (format!("HTTP/1.{version} {code}"), size)
        };
        let fields = fields.iter().take_while(|field| !field.name.is_empty()).map(|field| {
            let value = field.value.iter().map(|&byte| char::from(byte)).collect();
            (field.name.to_ascii_lowercase(), value)
        });
        Self { fields: fields.collect(), start, rest: bytes[size..].to_vec() }
    }

    /// The values of all fields of that name.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The value of the one field of that name.
    #[track_caller]
    pub(crate) fn only(&self, name: &str) -> &str {
        let values: Vec<_> = self.all(name).collect();
        assert_eq!(values.len(), 1, "{name} in {self:?}");
        values[0]
    }

    /// The elements of the lists in these fields.
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let elements = self.all(name).flat_map(|value| value.split(','));
        elements
            .map(|element| element.trim_matches([' ', '\t']))
            .filter(|element| !element.is_empty())
    }

    pub(crate) fn has(&self, name: &str, element: &str) -> bool {
        self.list(name).any(|other| other.eq_ignore_ascii_case(element))
    }

    /// Checks that there are no other fields than these.
    #[track_caller]
    pub(crate) fn assert_names(&self, known: &[&str]) {
        for (name, _) in &self.fields {
            assert!(known.contains(&name.as_str()), "{name} in {self:?}");
        }
    }
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The fields of a head: the proper ones, but for some that are left out, and others behind or before
/// them.
#[derive(Arbitrary, Debug)]
pub(crate) struct Fields<'a> {
    omitted: u8,
    others: Vec<Field<'a>>,
    behind: bool,
}

#[derive(Arbitrary, Debug)]
struct Field<'a> {
    name: Name<'a>,
    value: Value<'a>,
}

#[derive(Arbitrary, Debug)]
enum Name<'a> {
    Known(u8),
    Other(&'a str),
}

#[derive(Arbitrary, Debug)]
enum Value<'a> {
    Known(u8),
    Extensions(Vec<Extension>),
    Other(&'a str),
}

#[derive(Arbitrary, Debug)]
struct Extension {
    other: Option<u8>,
    parameters: Vec<Parameter>,
}

#[derive(Arbitrary, Debug)]
struct Parameter {
    name: u8,
    value: Option<u8>,
    quoted: bool,
}

impl Fields<'_> {
    /// All lines behind the first, and the empty one, with `proper` in them.
    pub(crate) fn lines(&self, proper: &[&str]) -> String {
        let proper = proper.iter().enumerate().filter(|(at, _)| self.omitted >> at & 1 == 0);
        let proper = proper.fold(String::new(), |lines, (_, line)| lines + line + "\r\n");
        let others = self.others.iter().fold(String::new(), |lines, field| {
            let name = match field.name {
                Name::Known(number) => pick(NAMES, number),
                Name::Other(name) => name,
            };
            let value = match &field.value {
                Value::Known(number) => pick(VALUES, *number).to_owned(),
                Value::Other(value) => (*value).to_owned(),
                Value::Extensions(extensions) => {
                    extensions.iter().map(Extension::text).collect::<Vec<_>>().join(", ")
                }
            };
            lines + name + ": " + &value + "\r\n"
        });
        if self.behind { proper + &others + "\r\n" } else { others + &proper + "\r\n" }
    }
}

impl Extension {
    fn text(&self) -> String {
        let mut text =
            self.other.map_or(EXTENSIONS[0], |number| pick(EXTENSIONS, number)).to_owned();
        for Parameter { name, value, quoted } in &self.parameters {
            text = text + "; " + pick(PARAMETERS, *name);
            match value {
                None => {}
                Some(value) if *quoted => text = format!("{text}=\"{}\"", value % 20),
                Some(value) => text = format!("{text}={}", value % 20),
            }
        }
        text
    }
}

fn pick<'a>(choices: &[&'a str], number: u8) -> &'a str {
    choices[usize::from(number) % choices.len()]
}

const NAMES: &[&str] = &[
    "Sec-WebSocket-Extensions",
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Accept",
    "Origin",
    "Content-Length",
    "Transfer-Encoding",
    "Location",
    "sec-websocket-extensions",
];

const VALUES: &[&str] = &[
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "server.example",
    "server.example:80",
    "websocket",
    "h2c, WebSocket",
    "keep-alive, Upgrade",
    "close",
    "dGhlIHNhbXBsZSBub25jZQ==",
    "13",
    "8",
    "chat",
    "mqtt, chat",
    "{accept}",
    "http://server.example",
    "https://other.example:444",
    "null",
    "0",
    "5",
    "chunked",
];

const EXTENSIONS: &[&str] =
    &["permessage-deflate", "x-webkit-deflate-frame", "", "Permessage-Deflate"];

const PARAMETERS: &[&str] = &[
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits",
    "client_max_window_bits",
    "mode",
];
