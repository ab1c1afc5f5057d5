//! Whether names, rooms and texts are what may be shown to others.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        CanonicalCombiningClass, DefaultIgnorableCodePoint, EmojiPresentation,
        ExtendedPictographic, JoiningType,
    },
};

use crate::{
    limits::Limits,
    protocol::{Code, Fault},
};

/// A person's name, trimmed, and with one space where there is white space. Two that differ are seen to
/// differ, as far as that is a matter of what cannot be seen.
pub(crate) fn name(name: &str, limits: &Limits) -> Result<String, Fault> {
    let bad = |what: String| Fault::new(Code::BadName, format!("a name {what}"));
    line(name, limits.name).map_err(bad)
}

/// A room's name, trimmed and in lower case: what may be part of an address, and of a broker's subject.
pub(crate) fn room(room: &str, limits: &Limits) -> Result<String, Fault> {
    let bad = |what: String| Fault::new(Code::BadRoom, format!("a room's name {what}"));
    let is_separator =
        |c: char| c.is_whitespace() || (c.is_ascii_punctuation() && c != '-' && c != '_');
    let room = line(room, limits.room).map_err(bad)?;
    if room.contains(is_separator) {
        return Err(bad("has no spaces, and no punctuation but - and _".to_owned()));
    }
    let room = room.to_lowercase();
    // Some letters are longer when they are small.
    short_enough(&room, limits.room).map_err(bad)?;
    Ok(room)
}

/// A text, trimmed, with its lines ended by `\n` alone.
pub(crate) fn text(text: &str, limits: &Limits) -> Result<String, Fault> {
    let bad = |what: String| Fault::new(Code::BadText, format!("a text {what}"));
    let text = text.trim().replace("\r\n", "\n");
    short_enough(&text, limits.text).map_err(bad)?;
    if text.lines().count() > limits.lines {
        return Err(bad(format!("has at most {} lines", limits.lines)));
    }
    if text.contains(|c| is_forbidden(c) && c != '\n' && c != '\t') {
        return Err(bad(FORBIDDEN.to_owned()));
    }
    if !text.contains(is_visible) {
        return Err(bad("is not empty".to_owned()));
    }
    Ok(text)
}

/// What a client calls its own message by.
pub(crate) fn key(key: &str) -> Result<(), Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(is_plain) {
        return Ok(());
    }
    let what = format!("a key has 1 to {MAX_KEY} characters, of a-z, A-Z, 0-9, - and _");
    Err(Fault::new(Code::BadKey, what))
}

fn line(text: &str, max: usize) -> Result<String, String> {
    let text = text.trim();
    short_enough(text, max)?;
    if text.contains(is_forbidden) {
        return Err(FORBIDDEN.to_owned());
    }
    if !text.contains(is_visible) {
        return Err("is not empty".to_owned());
    }
    let mut before = None;
    let mut after = text.chars().skip(1);
    for c in text.chars() {
        let after = after.next();
        if !(is_visible(c) || c.is_whitespace() || does_something(before, c, after)) {
            return Err(FORBIDDEN.to_owned());
        }
        before = Some(c);
    }
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether what cannot be seen by itself changes what is around it, where it stands: it joins the letters of
/// some scripts, or parts them (much as in RFC 5892, appendix A), joins emoji, or makes one of a sign.
fn does_something(before: Option<char>, c: char, after: Option<char>) -> bool {
    let (Some(before), after) = (before, after.unwrap_or_default()) else { return false };
    let is_pictographic = |c| CodePointSetData::new::<ExtendedPictographic>().contains(c);
    let is_joined_by_letters = |c| {
        let joining = CodePointMapData::<JoiningType>::new().get(c);
        let class = CodePointMapData::<CanonicalCombiningClass>::new().get(c);
        matches!(joining, JoiningType::DualJoining | JoiningType::LeftJoining)
            || class == CanonicalCombiningClass::Virama
    };
    match c {
        NON_JOINER => is_joined_by_letters(before) && is_visible(after),
        JOINER => {
            let is_emoji =
                is_pictographic(before) || matches!(before, EMOJI | '\u{1f3fb}'..='\u{1f3ff}');
            (is_joined_by_letters(before) && is_visible(after))
                || (is_emoji && is_pictographic(after))
        }
        EMOJI => {
            let is_one_already = CodePointSetData::new::<EmojiPresentation>().contains(before);
            (is_pictographic(before) && !is_one_already)
                || (matches!(before, '0'..='9' | '#' | '*') && after == KEYCAP)
        }
        _ => false,
    }
}

fn short_enough(text: &str, max: usize) -> Result<(), String> {
    // Whoever sends much too much is not counted to the end.
    if text.chars().take(max + 1).count() > max {
        return Err(format!("has at most {max} characters"));
    }
    Ok(())
}

/// What does something to the text around it, or to a terminal: control characters, ends of lines and
/// paragraphs, what turns the direction of writing, and what takes no room in it.
fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Whether it can be seen by itself: not what joins and varies other characters, nor fillers.
fn is_visible(c: char) -> bool {
    !(c.is_whitespace()
        || is_forbidden(c)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || c == BLANK)
}

const MAX_KEY: usize = 32;
const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
/// Variation selector 16.
const EMOJI: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';
/// Of braille, with no dot.
const BLANK: char = '\u{2800}';
const FORBIDDEN: &str =
    "has no control characters, and none that turn the direction of writing or cannot be seen";

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { name: 5, room: 5, text: 12, lines: 3, ..Limits::default() }
    }

    #[test]
    fn names_are_trimmed_and_may_be_in_any_script() {
        for (given, kept) in
            [(" Ada ", "Ada"), ("Ада", "Ада"), ("नमः", "नमः"), ("👩\u{200d}🚀", "👩\u{200d}🚀")]
        {
            assert_eq!(name(given, &limits()).unwrap(), kept);
        }
    }

    #[test]
    fn what_hides_or_turns_text_is_refused() {
        let bad = [
            "",
            " ",
            "\u{200d}",
            "\u{2800}",
            "a\nb",
            "a\u{1b}[2J",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{200b}b",
            "a\u{2028}b",
            "a\u{9b}b",
            "\u{feff}ab",
            "a\0",
        ];
        for bad in bad {
            assert_eq!(name(bad, &limits()).unwrap_err().code, Code::BadName, "{bad:?}");
            if bad != "a\nb" {
                assert_eq!(text(bad, &limits()).unwrap_err().code, Code::BadText, "{bad:?}");
            }
        }
    }

    #[test]
    fn names_that_differ_are_seen_to_differ() {
        let limits = Limits::default();
        for ignored in [
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{17b4}',
            '\u{180b}',
            '\u{200c}',
            '\u{200d}',
            '\u{2800}',
            '\u{3164}',
            '\u{fe0e}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{1bca0}',
            '\u{1d173}',
            '\u{e0061}',
            '\u{e0100}',
        ] {
            for bad in [format!("Ada{ignored}"), format!("A{ignored}da"), format!("{ignored}Ada")] {
                assert_eq!(name(&bad, &limits).unwrap_err().code, Code::BadName, "{bad:?}");
                assert_eq!(room(&bad, &limits).unwrap_err().code, Code::BadRoom, "{bad:?}");
                // In a text they may be of use.
                assert!(text(&bad, &limits).is_ok(), "{bad:?}");
            }
        }
        for bad in [
            "🙂\u{fe0f}",
            "1\u{fe0f}",
            "☎\u{fe0f}\u{fe0f}",
            "🙂\u{200d}a",
            "a\u{fe0f}\u{20e3}",
            "می\u{200c}",
        ] {
            assert_eq!(name(bad, &limits).unwrap_err().code, Code::BadName, "{bad:?}");
        }
        for good in [
            "☎\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
            "❤\u{fe0f}\u{200d}🔥",
            "👩🏽\u{200d}🚀",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
        ] {
            assert_eq!(name(good, &limits).unwrap(), good);
        }
        assert_eq!(name("Ada\u{a0}\u{3000} L", &limits).unwrap(), "Ada L");
    }

    #[test]
    fn lengths_are_in_characters() {
        assert!(name("ééééé", &limits()).is_ok());
        assert!(name("éééééé", &limits()).is_err());
        assert!(text(&"🙂".repeat(12), &limits()).is_ok());
        assert!(text(&"🙂".repeat(13), &limits()).is_err());
        assert!(room("aaaaa", &limits()).is_ok());
        assert!(room("aaaaaa", &limits()).is_err());
        // Two characters in lower case.
        assert!(room(&"İ".repeat(5), &limits()).is_err());
    }

    #[test]
    fn rooms_are_words_in_lower_case() {
        assert_eq!(room(" Lobby", &limits()).unwrap(), "lobby");
        assert_eq!(room("Ä-_1", &limits()).unwrap(), "ä-_1");
        for bad in ["a b", "a.b", "*", "a>", "#", "a/b", "a:b", "", "a\u{a0}b"] {
            assert_eq!(room(bad, &limits()).unwrap_err().code, Code::BadRoom, "{bad:?}");
        }
    }

    #[test]
    fn texts_have_a_few_lines() {
        assert_eq!(text("\r\na\r\n\tb\n", &limits()).unwrap(), "a\n\tb");
        assert!(text("a\nb\nc", &limits()).is_ok());
        assert!(text("a\n\nb\nc", &limits()).is_err());
        assert!(text("a\rb", &limits()).is_err());
    }

    #[test]
    fn keys_are_short_and_plain() {
        assert!(key("a-Z_9").is_ok());
        for bad in ["", "a b", "é", &"a".repeat(33)] {
            assert_eq!(key(bad).unwrap_err().code, Code::BadKey, "{bad:?}");
        }
    }
}
