//! A request body read as one GraphQL request, and its document: in one place and by one parser, so that
//! the filter of operations and the scope of apps cannot differ in what a request means. What servers
//! could read in more than one way is refused. Pure; it knows no schema and no rule.

use std::collections::BTreeSet;
use std::fmt;

use apollo_parser::Parser;
use apollo_parser::cst::{Definition, FragmentDefinition, OperationDefinition};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::sandbox::proxy::limits::{FILTERED_DEPTH_MAX, GRAPHQL_TOKENS_MAX};

/// Keys by which servers look a stored document up, instead of the one that is sent.
const PERSISTED_KEYS: [&str; 9] = [
    "doc_id",
    "docid",
    "document_id",
    "documentid",
    "hash",
    "id",
    "operationid",
    "query_id",
    "queryid",
];

/// It does not mean one thing: refuse the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// Several requests in one body.
    #[error("<batched>")]
    Batched,
    /// It may be answered by a document that the server stored.
    #[error("<persisted>")]
    Persisted,
    /// It is none, or not clearly one, or beyond the limits of depth and tokens.
    #[error("<unparseable>")]
    Unparseable,
}

/// What a request posts.
#[derive(Debug, Default)]
pub struct Posted {
    /// Its document.
    pub query: String,
    /// The operation of the document that is executed, if it tells.
    pub operation_name: Option<String>,
    /// Values of its variables.
    pub variables: Map<String, Value>,
}

impl Posted {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Unclear`].
    pub fn read(body: &[u8]) -> Result<Self, Unclear> {
        let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'[') {
            return Err(Unclear::Batched);
        }
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let told = serde::Deserializer::deserialize_map(&mut deserializer, ToldVisitor)
            .and_then(|told| deserializer.end().map(|()| told))
            .map_err(|_| Unclear::Unparseable)?;
        if told.persisted {
            return Err(Unclear::Persisted);
        }
        Ok(Self {
            query: told.query.ok_or(Unclear::Unparseable)?,
            operation_name: told.operation_name,
            variables: told.variables.unwrap_or_default(),
        })
    }
}

/// What the keys of a body tell.
#[derive(Default)]
struct Told {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
    persisted: bool,
}

struct ToldVisitor;

impl<'de> Visitor<'de> for ToldVisitor {
    type Value = Told;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a GraphQL request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Told, A::Error> {
        let (mut told, mut keys) = (Told::default(), BTreeSet::new());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "query" => told.query = map.next_value()?,
                "operationName" => told.operation_name = map.next_value()?,
                "variables" => told.variables = map.next_value()?,
                "extensions" => told.persisted |= names_persisted(&map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            let folded = key.to_lowercase();
            told.persisted |= PERSISTED_KEYS.contains(&folded.as_str());
            // Servers differ in which of two they take, and some in whether case makes two.
            if !keys.insert(folded) {
                return Err(A::Error::custom("a key is told twice"));
            }
        }
        Ok(told)
    }
}

fn names_persisted(extensions: &Value) -> bool {
    let keys = extensions.as_object().into_iter().flatten();
    keys.map(|(key, _)| key)
        .any(|key| key.eq_ignore_ascii_case("persistedQuery"))
}

/// A document that can be executed.
#[derive(Debug)]
pub struct Document {
    /// Its operations, one at least.
    pub operations: Vec<OperationDefinition>,
    /// Its fragments.
    pub fragments: Vec<FragmentDefinition>,
}

impl Document {
    /// Reads a document; one that also defines types is not one that is executed.
    ///
    /// # Errors
    /// [`Unclear::Unparseable`].
    pub fn read(query: &str) -> Result<Self, Unclear> {
        let tree = Parser::new(query)
            .recursion_limit(FILTERED_DEPTH_MAX)
            .token_limit(GRAPHQL_TOKENS_MAX)
            .parse();
        if tree.errors().next().is_some() {
            return Err(Unclear::Unparseable);
        }
        let (mut operations, mut fragments) = (Vec::new(), Vec::new());
        for definition in tree.document().definitions() {
            match definition {
                Definition::OperationDefinition(operation) => operations.push(operation),
                Definition::FragmentDefinition(fragment) => fragments.push(fragment),
                _ => return Err(Unclear::Unparseable),
            }
        }
        if operations.is_empty() {
            return Err(Unclear::Unparseable);
        }
        Ok(Self {
            operations,
            fragments,
        })
    }
}
