//! The GraphQL operation filter (spec rows NET-20 and NET-21): the operation that a request asks a
//! server to execute, and whether an entry's patterns allow each of its top-level fields. Pure; it
//! knows no schema. What a server could read in another way than this file does is refused.

use apollo_parser::cst::{CstChildren, OperationDefinition, Selection};

use crate::sandbox::proxy::allowlist::Operations;
use crate::sandbox::proxy::filter::{Blocked, Finding, Head, is_encoded, media_type};
use crate::sandbox::proxy::glob;
use crate::sandbox::proxy::graphql::{Document, Posted, Unclear};
use crate::sandbox::proxy::limits::{FILTERED_DEPTH_MAX, GRAPHQL_BODY_BYTES_MAX};
use crate::sandbox::proxy::policy;

/// The filter's name in the log.
pub const NAME: &str = "graphql-op";

/// Names that mean something in a URL's query: some servers prefer them to the body's.
const URL_KEYS: [&str; 4] = ["extensions", "operationname", "query", "variables"];

/// Why an operation may not be executed, as the agent reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    detail: String,
    tag: Option<String>,
}

fn refusal(detail: &str) -> Refusal {
    Refusal {
        detail: detail.to_owned(),
        tag: None,
    }
}

impl From<Unclear> for Refusal {
    fn from(unclear: Unclear) -> Self {
        refusal(&unclear.to_string())
    }
}

/// Returns the refusal of a body that is too long to be read.
pub fn too_large() -> Blocked {
    blocked(refusal("<too-large>"))
}

/// Judges the operation of a request by an entry's patterns.
pub fn check(operations: &Operations, head: Head<'_>, body: &[u8]) -> Finding {
    if body.len() > GRAPHQL_BODY_BYTES_MAX {
        return Finding::Block(too_large());
    }
    let judged = clear_head(head, body).and_then(|()| judge(operations, &Posted::read(body)?));
    match judged {
        Ok(tag) => Finding::Pass { tag: Some(tag) },
        Err(refusal) => Finding::Block(blocked(refusal)),
    }
}

fn blocked(Refusal { detail, tag }: Refusal) -> Blocked {
    Blocked {
        error: "graphql_operation_blocked",
        message: format!(
            "The GraphQL operation '{detail}' is not among those that the network allowlist names. \
             To allow it, add it to the graphql block of the entry in \
             .airut/network-allowlist.yaml and open a pull request; it takes effect once that is \
             merged into the default branch."
        ),
        detail,
        tag,
    }
}

/// Checks that the head leaves one way to read the body: as JSON, posted, with nothing beside it.
fn clear_head(head: Head<'_>, body: &[u8]) -> Result<(), Refusal> {
    // A GET executes what its URL says, or nothing.
    if !head.asked.method.eq_ignore_ascii_case("POST") {
        return Err(refusal("<unparseable>"));
    }
    let decoded = policy::decoded(head.asked.path_and_query);
    let query = decoded.split_once('?').map_or("", |(_, query)| query);
    let named = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        URL_KEYS.contains(&name.to_ascii_lowercase().as_str())
    };
    if query.split(['&', ';', '?']).any(named) {
        return Err(refusal("<url-query>"));
    }
    if is_encoded(head.headers) {
        return Err(refusal("<encoded>"));
    }
    let media = media_type(head.headers).map_err(|()| refusal("<content-type>"))?;
    let reads_as_json = match media.as_deref() {
        None | Some("application/json" | "text/plain") => true,
        // What curl says of everything: one field whose name begins with a brace is no `query`.
        Some("application/x-www-form-urlencoded") => !body.iter().any(|byte| b"&;".contains(byte)),
        Some(media) => media.starts_with("application/") && media.ends_with("+json"),
    };
    if reads_as_json {
        Ok(())
    } else {
        Err(refusal("<content-type>"))
    }
}

/// Returns the tag of an allowed operation.
fn judge(operations: &Operations, posted: &Posted) -> Result<String, Refusal> {
    let document = Document::read(&posted.query)?;
    let operation = executed(&document.operations, posted.operation_name.as_deref())?;
    let mut fields = Vec::new();
    let selections = operation.selection_set().ok_or(Unclear::Unparseable)?;
    gather_fields(selections.selections(), 0, &mut fields)?;
    allow(operations, kind(operation), &fields)
}

/// Returns the operation that a server executes.
fn executed<'a>(
    found: &'a [OperationDefinition],
    name: Option<&str>,
) -> Result<&'a OperationDefinition, Refusal> {
    if let [only] = found {
        return Ok(only);
    }
    let is_named = |operation: &&OperationDefinition| {
        let told = operation.name();
        told.is_some_and(|told| Some(told.text().as_str()) == name)
    };
    let mut named = found.iter().filter(is_named);
    match (named.next(), named.next()) {
        (Some(operation), None) => Ok(operation),
        _ => Err(refusal("<operation-name-invalid>")),
    }
}

/// The kinds of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Query,
    Mutation,
    Subscription,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

/// Returns an operation's kind; one that does not tell is a query.
fn kind(operation: &OperationDefinition) -> Kind {
    let told = operation.operation_type();
    match told {
        Some(told) if told.mutation_token().is_some() => Kind::Mutation,
        Some(told) if told.subscription_token().is_some() => Kind::Subscription,
        Some(_) | None => Kind::Query,
    }
}

/// Gathers the names of top-level fields, whatever their aliases, those of inline fragments among
/// them; a fragment that is named is refused here, as its place in the document tells nothing.
fn gather_fields(
    selections: CstChildren<Selection>,
    depth: usize,
    fields: &mut Vec<String>,
) -> Result<(), Refusal> {
    if depth > FILTERED_DEPTH_MAX {
        return Err(refusal("<unparseable>"));
    }
    for selection in selections {
        match selection {
            Selection::Field(field) => {
                let name = field.name().ok_or_else(|| refusal("<unparseable>"))?;
                fields.push(name.text().to_string());
            }
            Selection::InlineFragment(inline) => {
                let inner = inline.selection_set();
                let inner = inner.ok_or_else(|| refusal("<unparseable>"))?;
                gather_fields(inner.selections(), depth + 1, fields)?;
            }
            Selection::FragmentSpread(_) => return Err(refusal("<fragment-spread>")),
        }
    }
    Ok(())
}

/// Returns the tag when the patterns allow every field.
fn allow(operations: &Operations, kind: Kind, fields: &[String]) -> Result<String, Refusal> {
    let Some(first) = fields.first() else {
        return Err(refusal("<unparseable>"));
    };
    let patterns = match kind {
        Kind::Query => &operations.queries,
        Kind::Mutation => &operations.mutations,
        Kind::Subscription => &operations.subscriptions,
    };
    let tag = |field: &str| format!("{}/{field}", kind.name());
    if patterns.is_empty() {
        return Err(Refusal {
            detail: format!("{}:<blocked>", kind.name()),
            tag: Some(tag(first)),
        });
    }
    let allowed = |field: &str| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| glob::matches_as_glob(pattern, field))
    };
    match fields.iter().find(|field| !allowed(field)) {
        Some(field) => Err(Refusal {
            detail: field.clone(),
            tag: Some(tag(field)),
        }),
        None => Ok(tag(first)),
    }
}

#[cfg(test)]
mod tests;
