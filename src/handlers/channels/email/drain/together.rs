//! Taking many short mails in at once: one command fetches them, their appends share flushes, one
//! command deletes them. Whatever does not go smoothly is left to be taken in singly; this file
//! judges no trouble.

use futures_util::future::join_all;

use crate::clock;
use crate::handlers::barrier;
use crate::handlers::channels::Incoming;
use crate::handlers::channels::email::EmailChannel;
use crate::handlers::channels::email::imap::{Kept, Mailbox};
use crate::handlers::channels::email::listen::ListenError;
use crate::handlers::channels::email::notes::Notes;
use crate::handlers::intake::{Intake, Receipt};

/// Mails that are taken in together; more make another round. What may be lost between durable and
/// deleted, and so is met again, is one round.
pub(super) const MAILS_MAX: usize = 64;
/// Longest mail that is taken in with others, in bytes; a longer one is taken in singly, so that a
/// round holds at most 16 MiB in memory.
const BYTES_EACH_MAX: u32 = 256 << 10;

impl EmailChannel {
    /// Takes in what can be taken in together, and returns the others in their order: what is long
    /// or gave trouble before, and what gave trouble now.
    ///
    /// # Errors
    /// [`ListenError`] when the connection or the service is gone; each mail that was being fetched
    /// counts as troubled then and comes singly next time, so that the one at fault shows itself.
    pub(super) async fn take_together(
        &self,
        mailbox: &mut Mailbox,
        intake: &Intake,
        notes: &mut Notes,
        uids: &[u32],
    ) -> Result<Vec<u32>, ListenError> {
        if uids.len() < 2 {
            return Ok(uids.to_vec());
        }
        let sizes = mailbox.sizes(uids).await?;
        let is_short = |uid: &u32| sizes.get(uid).is_some_and(|size| *size <= BYTES_EACH_MAX);
        let joins = |uid: &u32| is_short(uid) && !notes.is_troubled(*uid);
        // Only what lies before the first that comes singly, so that the order is kept.
        let together: Vec<u32> = uids.iter().copied().take_while(joins).collect();
        let mut left = uids[together.len()..].to_vec();
        if together.is_empty() {
            return Ok(left);
        }
        let fetched = match mailbox.fetch_together(&together).await {
            Ok(fetched) => fetched,
            Err(error) if error.leaves_connection() => return Ok(uids.to_vec()),
            Err(error) => {
                for uid in together {
                    notes.trouble(uid, false, clock::now());
                }
                return Err(error.into());
            }
        };
        let taken = self.record(intake, fetched).await;
        let durable: Vec<u32> = taken.iter().map(|(uid, _)| *uid).collect();
        if !durable.is_empty() {
            mailbox.delete(&durable).await?;
            barrier::barrier("mail-deleted");
        }
        join_all(
            taken
                .iter()
                .map(|(_, receipt)| self.acknowledge(intake, receipt.inbound)),
        )
        .await;
        let missed = together.into_iter().filter(|uid| !durable.contains(uid));
        left.splice(0..0, missed);
        Ok(left)
    }

    /// Records mails in their order, up to the first that cannot be; returns those that are durable.
    async fn record(&self, intake: &Intake, fetched: Vec<Kept>) -> Vec<(u32, Receipt)> {
        let uids: Vec<u32> = fetched.iter().map(|kept| kept.uid).collect();
        let read = join_all(fetched.into_iter().map(|kept| self.incoming(kept))).await;
        let read: Vec<Incoming> = read.into_iter().map_while(Result::ok).collect();
        let receipts = intake.receive_all(read).await;
        let received = uids.into_iter().zip(receipts);
        received
            .map_while(|(uid, receipt)| Some((uid, receipt.ok()?)))
            .collect()
    }
}
