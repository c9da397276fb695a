//! Who may ask: whoever has the token, or the user's password.
//!
//! Compared in constant time, so that the time of a refusal does not tell how much of a guess was right; only the length of the
//! secret may show. `/-/healthy` and `/-/ready` are open, for whatever watches the process.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::Next;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq;

use crate::ServerState;
use crate::reply::Refusal;

/// What a client has to show.
#[derive(Clone)]
pub enum Credentials {
    /// `Authorization: Bearer TOKEN`.
    Bearer {
        /// The token.
        token: String,
    },
    /// `Authorization: Basic ...`.
    Basic {
        /// The user's name, without a colon.
        user: String,
        /// The password.
        password: String,
    },
}

impl Credentials {
    /// Whether the headers of a request show them.
    fn are_in(&self, headers: &HeaderMap) -> bool {
        let Some(shown) = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes) else { return false };
        let Some(space) = shown.iter().position(|&byte| byte == b' ') else { return false };
        let (scheme, shown) = (&shown[..space], shown[space..].trim_ascii());
        match self {
            Self::Bearer { token } => {
                scheme.eq_ignore_ascii_case(b"bearer") && bool::from(shown.ct_eq(token.as_bytes()))
            }
            Self::Basic { user, password } => {
                let expected = format!("{user}:{password}");
                let shown = BASE64_STANDARD.decode(shown).unwrap_or_default();
                scheme.eq_ignore_ascii_case(b"basic") && bool::from(shown.ct_eq(expected.as_bytes()))
            }
        }
    }

    fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Bearer { .. } => "Bearer realm=\"tsdb\"",
            Self::Basic { .. } => "Basic realm=\"tsdb\", charset=\"UTF-8\"",
        })
    }
}

/// Says nothing of the secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer { .. } => "Bearer",
            Self::Basic { .. } => "Basic",
        })
    }
}

/// Lets a request through that shows the credentials, if any are asked for.
pub(crate) async fn check(
    State(state): State<Arc<ServerState>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let Some(credentials) = state.credentials().filter(|credentials| !credentials.are_in(request.headers()))
    else {
        return next.run(request).await;
    };
    let mut response = Refusal::new(StatusCode::UNAUTHORIZED, "authorization is needed").as_text();
    response.headers_mut().insert(WWW_AUTHENTICATE, credentials.challenge());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(credentials: &Credentials, header: Option<&str>, expected: bool) {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header.parse().unwrap());
        }
        assert_eq!(credentials.are_in(&headers), expected, "{credentials:?} {header:?}");
    }

    #[test]
    fn tokens_and_passwords() {
        let bearer = Credentials::Bearer { token: "s3cret".into() };
        check(&bearer, Some("Bearer s3cret"), true);
        check(&bearer, Some("bearer  s3cret"), true);
        for wrong in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer s3cre"),
            Some("Bearer s3crets"),
            Some("Basic s3cret"),
        ] {
            check(&bearer, wrong, false);
        }
        let basic = Credentials::Basic { user: "ann".into(), password: "pass:word".into() };
        let encoded = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        check(&basic, Some(&encoded("ann:pass:word")), true);
        for wrong in [
            encoded("ann:password"),
            encoded("ann"),
            encoded(""),
            "Basic ?".into(),
            "Bearer ann:pass:word".into(),
        ] {
            check(&basic, Some(&wrong), false);
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let basic = Credentials::Basic { user: "ann".into(), password: "s3cret".into() };
        assert_eq!(format!("{basic:?}"), "Basic");
    }
}
