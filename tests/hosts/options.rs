//! What the program is told on its command line.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::AnyError;

/// Everything that can be told.
#[derive(Debug)]
pub(crate) struct Options {
    /// The address to listen on, and the one that names resolve to unless the zone says otherwise.
    pub(crate) listen: Ipv4Addr,
    /// Port of the name server.
    pub(crate) dns_port: u16,
    /// Port of plain HTTP.
    pub(crate) http_port: u16,
    /// Port of HTTPS.
    pub(crate) https_port: u16,
    /// Names that exist, with the address they have.
    pub(crate) zone: BTreeMap<String, Ipv4Addr>,
    /// Where `ca.pem` is kept; made when missing.
    pub(crate) ca_dir: PathBuf,
    /// Where the journals, the release files and `ready` are.
    pub(crate) work: PathBuf,
    /// Directory of bare repositories; no git host without it.
    pub(crate) repositories: Option<PathBuf>,
    /// The only key the Messages API accepts; any without it.
    pub(crate) api_key: Option<String>,
    /// The password that a push needs; none without it.
    pub(crate) push_token: Option<String>,
    /// A file of scripted answers, see [`crate::scenario`].
    pub(crate) scenarios: Option<PathBuf>,
    /// Whether the program ends when its standard input does.
    pub(crate) until_stdin_closes: bool,
}

impl Options {
    /// Reads `--name value` pairs.
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, AnyError> {
        let mut options = Self {
            listen: Ipv4Addr::LOCALHOST,
            dns_port: 53,
            http_port: 80,
            https_port: 443,
            zone: BTreeMap::new(),
            ca_dir: PathBuf::from("."),
            work: PathBuf::from("."),
            repositories: None,
            api_key: None,
            push_token: None,
            scenarios: None,
            until_stdin_closes: false,
        };
        let mut names = Vec::new();
        while let Some(flag) = args.next() {
            if flag == "--until-stdin-closes" {
                options.until_stdin_closes = true;
                continue;
            }
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--listen" => options.listen = value.parse()?,
                "--dns-port" => options.dns_port = value.parse()?,
                "--http-port" => options.http_port = value.parse()?,
                "--https-port" => options.https_port = value.parse()?,
                "--zone" => names.push(value),
                "--ca-dir" => options.ca_dir = value.into(),
                "--work" => options.work = value.into(),
                "--repositories" => options.repositories = Some(value.into()),
                "--api-key" => options.api_key = Some(value),
                "--push-token" => options.push_token = Some(value),
                "--scenarios" => options.scenarios = Some(value.into()),
                _ => return Err(format!("unknown option {flag}").into()),
            }
        }
        for name in names {
            let (name, address) = zone_entry(&name, options.listen)?;
            options.zone.insert(name, address);
        }
        Ok(options)
    }
}

/// Reads `name` or `name=address`.
fn zone_entry(entry: &str, own: Ipv4Addr) -> Result<(String, Ipv4Addr), AnyError> {
    let (name, address) = match entry.split_once('=') {
        Some((name, address)) => (name, address.parse()?),
        None => (entry, own),
    };
    Ok((name.to_ascii_lowercase(), address))
}
