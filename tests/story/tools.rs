//! Lines of an agent that uses the tools in which it writes its plan.

/// The line of an agent that uses a tool; `input` is JSON.
pub(crate) fn tool_used(id: &str, name: &str, input: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","id":"{id}","name":"{name}","input":{input}}}]}}}}"#
    )
}

/// The line with which the tool `TaskCreate` answers its use.
pub(crate) fn task_created(tool_use: &str, task: &str) -> String {
    format!(
        r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","tool_use_id":"{tool_use}","content":"created"}}]}},"tool_use_result":{{"task":{{"id":"{task}"}}}}}}"#
    )
}
