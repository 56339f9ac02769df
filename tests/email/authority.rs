//! Whoever gives out tokens, and says of them whether they are good: an OAuth2 token endpoint over
//! https (RFC 6749) for Airut, and token introspection for Dovecot.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use airut::config::types::MicrosoftOauth2;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::common::mail::BOT;

/// The application's secret.
pub(crate) const CLIENT_SECRET: &str = "c1ient~secret/&=";

/// What the authority knows.
#[derive(Debug)]
pub(crate) struct Knows {
    /// How many tokens it gave out.
    pub(crate) issued: u32,
    /// Those that are good.
    pub(crate) good: BTreeSet<String>,
    /// For how many seconds it says that a token is good.
    pub(crate) lasts_s: u64,
    /// Whether it gives out none, and says why.
    pub(crate) refuses: bool,
}

/// The running authority.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    address: SocketAddr,
    pub(crate) knows: Arc<Mutex<Knows>>,
}

impl Authority {
    /// Starts it, with a certificate for `localhost` that the directory holds.
    pub(crate) async fn start(tls_directory: &Path) -> Self {
        let knows = Arc::new(Mutex::new(Knows {
            issued: 0,
            good: BTreeSet::new(),
            lasts_s: 3600,
            refuses: false,
        }));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(server_config(tls_directory)));
        let known = Arc::clone(&knows);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, knows) = (acceptor.clone(), Arc::clone(&known));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, knows).await;
                    }
                });
            }
        });
        Self { address, knows }
    }

    /// Answers Dovecot's questions at a port.
    pub(crate) async fn introspect_at(&self, port: u16) {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let known = Arc::clone(&self.knows);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&known)));
            }
        });
    }

    /// The settings of an application that may use it.
    pub(crate) fn settings(&self) -> MicrosoftOauth2 {
        MicrosoftOauth2 {
            tenant_id: "tenant-1".to_owned(),
            client_id: "client-1".to_owned(),
            client_secret: CLIENT_SECRET.to_owned().into(),
            authority: format!("https://localhost:{}", self.address.port()),
            scope: "https://outlook.office365.com/.default".to_owned(),
        }
    }
}

fn server_config(directory: &Path) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(directory.join("server.pem")).unwrap();
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(directory.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

async fn serve<S>(stream: S, knows: Arc<Mutex<Knows>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = move |request: Request<Incoming>| {
        let knows = Arc::clone(&knows);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let (status, said) = if head.method == Method::POST {
                token(&knows, head.uri.path(), &body)
            } else {
                introspection(&knows, head.uri.query().unwrap_or_default())
            };
            let response = Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(said.to_string())));
            Ok::<_, Infallible>(response.unwrap())
        }
    };
    let served = hyper::server::conn::http1::Builder::new();
    let served = served.serve_connection(TokioIo::new(stream), service_fn(answer));
    drop(served.await);
}

fn token(knows: &Mutex<Knows>, path: &str, form: &[u8]) -> (u16, Value) {
    let mut knows = knows.lock().unwrap();
    let expected = "client_id=client%2D1&client_secret=c1ient%7Esecret%2F%26%3D&\
                    scope=https%3A%2F%2Foutlook%2Eoffice365%2Ecom%2F%2Edefault&\
                    grant_type=client%5Fcredentials";
    let is_known = path == "/tenant-1/oauth2/v2.0/token" && form == expected.as_bytes();
    if knows.refuses || !is_known {
        let why = format!("AADSTS7000215: {CLIENT_SECRET} is not the secret\r\nTrace ID: 1");
        let said = json!({ "error": "invalid_client", "error_description": why });
        return (401, said);
    }
    knows.issued += 1;
    let token = format!("t0ken-{}", knows.issued);
    knows.good.insert(token.clone());
    let said = json!({
        "token_type": "Bearer",
        "expires_in": knows.lasts_s,
        "access_token": token,
    });
    (200, said)
}

fn introspection(knows: &Mutex<Knows>, query: &str) -> (u16, Value) {
    // Dovecot adds its own client, which has neither name nor secret.
    let token = query.split('&').next().unwrap_or_default();
    let token = token.trim_start_matches("access_token=");
    let is_good = knows.lock().unwrap().good.contains(token);
    let said = if is_good {
        json!({ "active": "true", "username": BOT })
    } else {
        json!({ "active": "false" })
    };
    (200, said)
}
