//! Whether a GraphQL request to GitHub stays within the repositories that an app may use (spec row
//! SEC-18). GitHub's own tokens are scoped too; this keeps out what a token can see beyond them,
//! public repositories above all. Whatever cannot be judged is refused. Pure.

use std::collections::BTreeSet;

use async_graphql_parser::parse_query;
use async_graphql_parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql_value::Value;
use serde_json::Value as Json;

use crate::sandbox::proxy::github::node_id::{Owner, owner};
use crate::sandbox::proxy::wire::AllowedRepository;

/// Longest request that is judged, in bytes; a longer one is refused.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Connections that list repositories, or what belongs to some, of any owner.
const LISTINGS: [&str; 13] = [
    "commitComments",
    "contributionsCollection",
    "forks",
    "issueComments",
    "pinnableItems",
    "pinnedItems",
    "repositories",
    "repositoriesContributedTo",
    "repositoryDiscussionComments",
    "repositoryDiscussions",
    "starredRepositories",
    "topRepositories",
    "watching",
];

/// Fields that do so without any argument, or find a node by something that names no repository.
const NEVER: [&str; 4] = [
    "itemShowcase",
    "resource",
    "search",
    "viewerCopilotAuthoredWork",
];

/// What lists the work of an owner across repositories, directly below the owner.
const OWNERS: [&str; 4] = ["organization", "repositoryOwner", "user", "viewer"];
const WORK: [&str; 2] = ["issues", "pullRequests"];

/// The request is refused; the detail says what for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OutOfScope(pub String);

/// Judges the body of a GraphQL request.
///
/// # Errors
/// [`OutOfScope`] unless everything that names a repository names one of `allowed`.
pub fn judge(body: &[u8], allowed: &[AllowedRepository]) -> Result<(), OutOfScope> {
    let refuse = |why: &str| Err(OutOfScope(why.to_owned()));
    if body.len() > BODY_BYTES_MAX {
        return refuse("<too-large>");
    }
    let Ok(Json::Object(request)) = serde_json::from_slice(body) else {
        return refuse("<unparseable>");
    };
    let Some(Ok(document)) = request.get("query").and_then(Json::as_str).map(parse_query) else {
        return refuse("<unparseable>");
    };
    let nothing = Json::Object(serde_json::Map::new());
    let variables = match request.get("variables") {
        None | Some(Json::Null) => &nothing,
        Some(variables @ Json::Object(_)) => variables,
        Some(_) => return refuse("<unparseable>"),
    };
    let judge = Judge {
        names: allowed
            .iter()
            .map(|repository| repository.full_name.to_lowercase())
            .collect(),
        ids: allowed.iter().map(|known| known.node_id.as_str()).collect(),
        numbers: allowed
            .iter()
            .filter_map(|known| match owner(&known.node_id) {
                Owner::Repository(number) => Some(number),
                Owner::None | Owner::Unknown => None,
            })
            .collect(),
        variables,
    };
    judge.document(&document)?;
    // Variables may hold whole inputs; all of them count, used or not.
    judge.input("", variables)
}

struct Judge<'a> {
    names: BTreeSet<String>,
    ids: BTreeSet<&'a str>,
    numbers: BTreeSet<u64>,
    variables: &'a Json,
}

impl Judge<'_> {
    fn document(&self, document: &ExecutableDocument) -> Result<(), OutOfScope> {
        for (_, operation) in document.operations.iter() {
            self.selections(&operation.node.selection_set.node, None)?;
        }
        for fragment in document.fragments.values() {
            self.selections(&fragment.node.selection_set.node, None)?;
        }
        Ok(())
    }

    fn selections(
        &self,
        selections: &SelectionSet,
        parent: Option<&Field>,
    ) -> Result<(), OutOfScope> {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => self.field(&field.node, parent)?,
                Selection::InlineFragment(fragment) => {
                    self.selections(&fragment.node.selection_set.node, parent)?;
                }
                // Each fragment is judged where it is defined, below a parent that is not known.
                Selection::FragmentSpread(_) => {}
            }
        }
        Ok(())
    }

    fn field(&self, field: &Field, parent: Option<&Field>) -> Result<(), OutOfScope> {
        let name = field.name.node.as_str();
        let lists = LISTINGS.contains(&name) && !field.arguments.is_empty();
        let works = WORK.contains(&name)
            && parent.is_some_and(|parent| OWNERS.contains(&parent.name.node.as_str()));
        if lists || works || NEVER.contains(&name) {
            return Err(OutOfScope(format!("<multi-repo:{name}>")));
        }
        if name == "repository" && !field.arguments.is_empty() {
            self.repository(field, parent)?;
        }
        for (name, value) in &field.arguments {
            let value = self.resolved(&value.node)?;
            self.input(&name.node, &value)?;
        }
        self.selections(&field.selection_set.node, Some(field))
    }

    /// `repository(owner:, name:)`, or `repository(name:)` below something with a `login`.
    fn repository(&self, field: &Field, parent: Option<&Field>) -> Result<(), OutOfScope> {
        let owner = field
            .get_argument("owner")
            .or_else(|| parent.and_then(|parent| parent.get_argument("login")));
        let name = field.get_argument("name");
        let text = |value: Option<&async_graphql_parser::Positioned<Value>>| match value {
            None => Ok("<unknown>".to_owned()),
            Some(value) => match self.resolved(&value.node)? {
                Json::String(text) => Ok(text),
                _ => Err(OutOfScope("<unparseable>".to_owned())),
            },
        };
        self.named(&format!("{}/{}", text(owner)?, text(name)?))
    }

    fn named(&self, full_name: &str) -> Result<(), OutOfScope> {
        if self.names.contains(&full_name.to_lowercase()) {
            return Ok(());
        }
        Err(OutOfScope(full_name.to_owned()))
    }

    /// Judges a value, and what is within it, by the name it is given to.
    fn input(&self, name: &str, value: &Json) -> Result<(), OutOfScope> {
        match value {
            Json::Object(fields) => fields
                .iter()
                .try_for_each(|(name, value)| self.input(name, value)),
            Json::Array(items) => items.iter().try_for_each(|item| self.input(name, item)),
            Json::String(text) => self.text(name, text),
            Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
        }
    }

    fn text(&self, name: &str, text: &str) -> Result<(), OutOfScope> {
        if name == "repositoryNameWithOwner" {
            return self.named(text);
        }
        if !is_id(name) || self.ids.contains(text) {
            return Ok(());
        }
        match owner(text) {
            Owner::None if name != "repositoryId" => Ok(()),
            Owner::Repository(number) if self.numbers.contains(&number) => Ok(()),
            Owner::None | Owner::Repository(_) | Owner::Unknown => Err(OutOfScope(text.to_owned())),
        }
    }

    /// Returns a value with its variables put in.
    fn resolved(&self, value: &Value) -> Result<Json, OutOfScope> {
        let unresolved = || OutOfScope("<unresolved-variable>".to_owned());
        Ok(match value {
            Value::Variable(name) => {
                let value = self.variables.get(name.as_str());
                value.cloned().ok_or_else(unresolved)?
            }
            Value::String(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(
                items
                    .iter()
                    .map(|item| self.resolved(item))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(fields) => Json::Object(
                fields
                    .iter()
                    .map(|(name, value)| Ok((name.to_string(), self.resolved(value)?)))
                    .collect::<Result<_, OutOfScope>>()?,
            ),
            Value::Null
            | Value::Number(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_) => Json::Null,
        })
    }
}

/// Names of inputs that hold node ids. Object ids of git end in `Oid`, which is not among them.
fn is_id(name: &str) -> bool {
    let bare = ["id", "ids", "ID", "IDS"].contains(&name);
    name != "clientMutationId" && (bare || name.ends_with("Id") || name.ends_with("Ids"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: &str = "R_kgDOABPHjQ";

    fn ask(query: &str, variables: &Json) -> Result<(), OutOfScope> {
        let allowed = [AllowedRepository {
            node_id: OURS.to_owned(),
            full_name: "Fleet/Ferry".to_owned(),
        }];
        let body = serde_json::json!({ "query": query, "variables": variables });
        judge(body.to_string().as_bytes(), &allowed)
    }

    #[track_caller]
    fn check(query: &str, variables: &Json, refused: Option<&str>) {
        let refusal = ask(query, variables).err();
        assert_eq!(
            refusal.as_ref().map(|why| why.0.as_str()),
            refused,
            "{query}"
        );
    }

    #[test]
    fn what_names_an_allowed_repository_passes() {
        let none = &Json::Null;
        let named = &serde_json::json!({ "o": "fleet", "n": "FERRY" });
        check(
            "{ repository(owner: \"fleet\", name: \"ferry\") { id } }",
            none,
            None,
        );
        check(
            "query($o: String!, $n: String!) { repository(owner: $o, name: $n) { id } }",
            named,
            None,
        );
        check(
            "{ organization(login: \"fleet\") { repository(name: \"ferry\") { id } } }",
            none,
            None,
        );
        check(&format!("{{ node(id: \"{OURS}\") {{ id }} }}"), none, None);
        check(
            "mutation { addComment(input: {subjectId: \"I_kgDOABPHjQ\", body: \"x\", clientMutationId: \"m\"}) { id } }",
            none,
            None,
        );
        check("{ viewer { login } }", none, None);
        check("{ node(id: \"U_kgDOABPHjQ\") { id } }", none, None);
    }

    #[test]
    fn what_reaches_beyond_is_refused() {
        let none = &Json::Null;
        for (query, why) in [
            (
                "{ a: repository(owner: \"other\", name: \"x\") { id } }",
                "other/x",
            ),
            (
                "{ viewer { repository(name: \"ferry\") { id } } }",
                "<unknown>/ferry",
            ),
            (
                "{ user(login: \"x\") { ...f } } fragment f on User { repository(name: \"ferry\") { id } }",
                "<unknown>/ferry",
            ),
            (
                "{ viewer { repositories(first: 9) { nodes { id } } } }",
                "<multi-repo:repositories>",
            ),
            (
                "{ viewer { ... on User { issues(first: 9) { nodes { id } } } } }",
                "<multi-repo:issues>",
            ),
            (
                "{ search(query: \"x\", type: REPOSITORY) { nodes { id } } }",
                "<multi-repo:search>",
            ),
            (
                "{ resource(url: \"https://github.com/other/x\") { id } }",
                "<multi-repo:resource>",
            ),
            ("{ nodes(ids: [\"R_kgDOABPHjg\"]) { id } }", "R_kgDOABPHjg"),
            (
                "{ node(id: \"MDEwOlJlcG9zaXRvcnkx\") { id } }",
                "MDEwOlJlcG9zaXRvcnkx",
            ),
            ("{ node(id: $id) { id } }", "<unresolved-variable>"),
            (
                "query($id: ID = \"R_kgDOABPHjg\") { node(id: $id) { id } }",
                "<unresolved-variable>",
            ),
            (
                "{ repository(owner: 1, name: \"x\") { id } }",
                "<unparseable>",
            ),
            ("{ repository(", "<unparseable>"),
        ] {
            check(query, none, Some(why));
        }
    }

    #[test]
    fn variables_count_at_any_depth() {
        let query =
            "mutation($input: I!) { createCommitOnBranch(input: $input) { clientMutationId } }";
        let input = |name: &str| serde_json::json!({ "input": { "branch": { "repositoryNameWithOwner": name } } });
        check(query, &input("fleet/ferry"), None);
        check(query, &input("other/x"), Some("other/x"));
        let ids = serde_json::json!({ "unused": [{ "labelIds": ["LA_kgDOABPHjg"] }] });
        check("{ viewer { login } }", &ids, Some("LA_kgDOABPHjg"));
        let user = serde_json::json!({ "input": { "repositoryId": "U_kgDOABPHjQ" } });
        check(query, &user, Some("U_kgDOABPHjQ"));
    }

    #[test]
    fn what_is_no_single_request_is_refused() {
        for body in [
            "",
            "[]",
            "[{\"query\": \"{ viewer { login } }\"}]",
            "{}",
            "{\"query\": 1}",
        ] {
            assert_eq!(
                judge(body.as_bytes(), &[]),
                Err(OutOfScope("<unparseable>".to_owned()))
            );
        }
        let padded = |length: usize| {
            let start = "{\"query\": \"{ viewer { login } }\"}";
            format!("{start}{}", " ".repeat(length - start.len()))
        };
        assert!(judge(padded(BODY_BYTES_MAX - 1).as_bytes(), &[]).is_ok());
        assert!(judge(padded(BODY_BYTES_MAX).as_bytes(), &[]).is_ok());
        let longer = judge(padded(BODY_BYTES_MAX + 1).as_bytes(), &[]);
        assert_eq!(longer, Err(OutOfScope("<too-large>".to_owned())));
    }

    proptest! {
        #[test]
        fn any_query_is_judged_without_a_panic(query in "[{}()$a-z:\" \\[\\].]{0,60}") {
            let _judged = ask(&query, &Json::Null);
        }
    }
}
