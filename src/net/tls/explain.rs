//! What went wrong in TLS, in words that say what to do about it.

use std::io;

use futures_rustls::rustls::{self, AlertDescription, CertificateError, InvalidMessage};

use crate::error::{Error, ErrorKind};

/// Why a handshake with the server `host` failed.
pub(super) fn server_failed(host: &str, error: io::Error) -> Error {
    let Some(cause) = cause(&error) else {
        let message =
            format!("the TLS handshake with {host} failed (if it does not speak TLS, use ws://)");
        return Error::with_source(ErrorKind::Io, message, error);
    };
    let message = match cause {
        _ if is_not_tls(cause) => {
            let message = format!("{host} does not speak TLS at this port; is it ws://?");
            return Error::new(ErrorKind::Tls, message);
        }
        rustls::Error::InvalidCertificate(reason) => untrusted(host, reason),
        rustls::Error::AlertReceived(alert) if is_about_certificate(*alert) => {
            REFUSES_CERTIFICATE.to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | rustls::Error::NoApplicationProtocol => {
            format!("{host} does not offer HTTP/1.1 at this port")
        }
        _ => format!("the TLS handshake with {host} failed"),
    };
    Error::with_source(ErrorKind::Tls, message, cause.clone())
}

/// Why a handshake with a client failed.
pub(super) fn client_failed(error: io::Error) -> Error {
    let message = match cause(&error) {
        None => {
            let message = "the TLS handshake with the client failed";
            return Error::with_source(ErrorKind::Io, message, error);
        }
        Some(cause) if is_not_tls(cause) => {
            let message = "the client does not speak TLS; does it use ws:// for wss://?";
            return Error::new(ErrorKind::Tls, message);
        }
        Some(rustls::Error::AlertReceived(alert)) if is_about_certificate(*alert) => {
            "the client does not accept this server's certificate"
        }
        Some(rustls::Error::NoCertificatesPresented) => "the client gave no certificate",
        Some(rustls::Error::InvalidCertificate(_)) => "the client's certificate is not accepted",
        Some(_) => "the TLS handshake with the client failed",
    };
    failed(message, error)
}

/// Why reading failed after the handshake. In TLS 1.3 a client has done its part before the server
/// looks at its certificate.
pub(super) fn read_failed(error: io::Error) -> io::Error {
    let message = match cause(&error) {
        None => return error,
        Some(rustls::Error::AlertReceived(alert)) if is_about_certificate(*alert) => {
            REFUSES_CERTIFICATE
        }
        Some(_) => "TLS failed",
    };
    failed(message, error).into()
}

fn failed(message: &'static str, error: io::Error) -> Error {
    Error::with_source(ErrorKind::Tls, message, error)
}

/// What rustls says, if the failure is not the transport's.
fn cause(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn is_not_tls(cause: &rustls::Error) -> bool {
    matches!(cause, rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType))
}

fn is_about_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::CertificateRequired
    )
}

fn untrusted(host: &str, reason: &CertificateError) -> String {
    let advice = match reason {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "is for another name; connect by one that it has"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired; it has to be renewed there, unless the clock here is wrong"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet; the clock here may be wrong"
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "is of an authority that is not trusted here; if it should be, give its certificate \
             to `ClientTls::ca_file`"
        }
        // What `openssl req -x509` makes if it is not told otherwise.
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "is that of an authority and not of a server; make it with `CA:FALSE`, or issue \
             another one with it"
        }
        _ => "is not accepted",
    };
    format!("the certificate of {host} {advice}")
}

const REFUSES_CERTIFICATE: &str = "the server wants a certificate of this client, or another than it \
                                   has got; give one to `ClientTls::client_certificate`";
