//! What the record keeps of a task's events. It decides nothing about them.

use crate::events::Recorded;
use crate::events::event::TaskEvent;
use crate::projections::audit::{Audit, Moment};

impl Audit {
    pub(super) fn apply_task(&mut self, recorded: &Recorded, event: &TaskEvent) {
        match event {
            TaskEvent::Queued(queued) => {
                self.admit(queued.inbound, queued.task, queued.conversation);
                self.keep_of(queued.task, recorded, || Moment::Queued(queued.clone()));
            }
            TaskEvent::Coalesced(coalesced) => {
                self.keep_of(coalesced.task, recorded, || {
                    Moment::Coalesced(coalesced.clone())
                });
            }
            TaskEvent::Started(started) => {
                self.keep_of(started.task, recorded, || Moment::Started(started.clone()));
            }
            TaskEvent::CommandGiven(given) => {
                self.keep_of(given.task, recorded, || Moment::CommandGiven(given.clone()));
            }
            TaskEvent::StopRequested(request) => {
                self.keep_of(request.task, recorded, || {
                    Moment::StopRequested(request.clone())
                });
            }
            TaskEvent::Interrupted(interrupted) => {
                self.keep_of(interrupted.task, recorded, || {
                    Moment::Interrupted(interrupted.clone())
                });
            }
            TaskEvent::RetryScheduled(put_off) => {
                let moment = || Moment::RetryScheduled(put_off.clone());
                self.keep_of(put_off.task, recorded, moment);
            }
            TaskEvent::Completed(ended) => {
                self.keep_of(ended.task, recorded, || Moment::Completed(ended.clone()));
            }
            TaskEvent::Held(held) => {
                self.keep_of(held.task, recorded, || Moment::Held(held.clone()));
            }
            TaskEvent::TurnedAway(away) => {
                self.keep_of(away.task, recorded, || Moment::TurnedAway(away.clone()));
            }
            TaskEvent::Parked(parked) => {
                self.keep_of(parked.task, recorded, || Moment::Parked(parked.clone()));
            }
            TaskEvent::PhaseEntered(_) | TaskEvent::TodoListUpdated(_) => {}
        }
    }
}
