//! `Retry-After` (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use http::{
    HeaderName, Response, StatusCode,
    header::{DATE, RETRY_AFTER},
};

/// How long the server of such an answer wants to be left alone.
pub(super) fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    if ![StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE]
        .contains(&response.status())
    {
        return None;
    }
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // What is too large for the type is too large for any limit, too.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    // The server's own clock is what it goes by, if it says what that shows.
    let now = date(response, &DATE).unwrap_or_else(SystemTime::now);
    Some(until.duration_since(now).unwrap_or_default())
}

fn date<B>(response: &Response<B>, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(response.headers().get(name)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(status: u16, headers: &[(&str, &str)]) -> Option<Duration> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        retry_after(&response.body(()).unwrap())
    }

    #[test]
    fn it_is_a_number_of_seconds_or_a_date_by_the_servers_clock() {
        for status in [429, 503] {
            assert_eq!(after(status, &[("retry-after", "120")]), Some(Duration::from_secs(120)));
            let headers = [
                ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"),
                ("date", "Fri, 31 Dec 1999 23:59:09 GMT"),
            ];
            assert_eq!(after(status, &headers), Some(Duration::from_secs(50)));
        }
    }

    #[test]
    fn without_the_servers_clock_a_date_is_by_ours() {
        let until = SystemTime::now() + Duration::from_secs(1000);
        let date = httpdate::fmt_http_date(until);
        let delay = after(503, &[("retry-after", &date)]).unwrap();
        assert!((Duration::from_secs(900)..=Duration::from_secs(1000)).contains(&delay));
    }

    #[test]
    fn a_date_that_has_passed_is_now_and_a_number_may_be_large() {
        assert_eq!(
            after(503, &[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")]),
            Some(Duration::ZERO)
        );
        let large = "99999999999999999999999999";
        assert_eq!(after(503, &[("retry-after", large)]), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn what_is_neither_says_nothing_nor_do_other_answers() {
        for value in ["", "soon", "-1", "1.5", "1s"] {
            assert_eq!(after(503, &[("retry-after", value)]), None, "{value:?}");
        }
        assert_eq!(after(503, &[]), None);
        assert_eq!(after(500, &[("retry-after", "120")]), None);
    }
}
