//! The page, and what else a plain GET is answered with.

use wsweave::{
    Bytes, Refusal,
    http::{Response, StatusCode},
};

/// The answer to a GET of a path that is not the WebSocket's.
pub(crate) fn answer(path: &str) -> Refusal {
    let (status, kind, body) = match path {
        "/" => (StatusCode::OK, "text/html; charset=utf-8", include_str!("../page/index.html")),
        "/chat.css" => {
            (StatusCode::OK, "text/css; charset=utf-8", include_str!("../page/chat.css"))
        }
        "/chat.js" => {
            (StatusCode::OK, "text/javascript; charset=utf-8", include_str!("../page/chat.js"))
        }
        "/health" => (StatusCode::OK, "text/plain; charset=utf-8", "fine\n"),
        _ => (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "there is nothing here\n"),
    };
    let mut response = Response::builder().status(status).header("Content-Type", kind);
    for (name, value) in HEADERS {
        response = response.header(name, value);
    }
    let response = response.body(Bytes::from_static(body.as_bytes()));
    response.expect("all of its headers are written here").into()
}

/// The page takes nothing from elsewhere, is part of no other, and makes no text into elements.
const HEADERS: [(&str, &str); 8] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    // A new server has a new page.
    ("Cache-Control", "no-cache"),
];
