//! Lines of an agent that uses the tools in which it writes its plan.

/// The line of an agent that uses a tool; `input` is JSON.
pub(crate) fn tool_used(id: &str, name: &str, input: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","id":"{id}","name":"{name}","input":{input}}}]}}}}"#
    )
}

/// The line with which the tool `TaskCreate` answers its use.
fn task_created(tool_use: &str, task: &str) -> String {
    format!(
        r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","tool_use_id":"{tool_use}","content":"created"}}]}},"tool_use_result":{{"task":{{"id":"{task}"}}}}}}"#
    )
}

/// The lines of a plan that is written piece by piece: of two tasks one is done, and `last` becomes of
/// the other.
pub(crate) fn plan_in_pieces(last: &str) -> Vec<String> {
    let first = r#"{"subject":"Read","activeForm":"Reading"}"#;
    vec![
        tool_used("t1", "TaskCreate", first),
        task_created("t1", "1"),
        tool_used("t2", "TaskCreate", r#"{"subject":"Fix"}"#),
        task_created("t2", "2"),
        tool_used("t3", "TaskUpdate", r#"{"taskId":"1","status":"completed"}"#),
        tool_used("t4", "TaskUpdate", last),
    ]
}
