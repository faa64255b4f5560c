//! Deletions and backups beside the clients.

use std::path::PathBuf;

use mesh_embedded::backup_with;
use tokio::task::{JoinHandle, spawn_blocking};

use super::*;
use crate::data;
use crate::ledger::{Backup, Moment};

impl Client<'_> {
    /// Deletes tasks and their payloads in each round, and makes a backup in the middle.
    pub(super) async fn clean(mut self, files: &Arc<RecordedFiles>, rounds: usize) {
        let mut copying = None;
        for round in 0..rounds {
            if round == rounds / 2 {
                copying = Some(self.back_up(Arc::clone(files)));
            }
            self.create_expired().await;
            self.delete_expired().await;
        }
        if let Some(copying) = copying {
            let made = copying.await.unwrap();
            self.ledger.backups().push(made);
        }
    }

    fn back_up(&self, files: Arc<RecordedFiles>) -> JoinHandle<Backup> {
        let journal = Arc::clone(&self.ledger.journal);
        let folder = PathBuf::from(format!("backup-{}", self.ledger.backups().len()));
        spawn_blocking(move || {
            let begun = journal.position();
            let target = journal.folder().join(&folder);
            let report = backup_with(&data(journal.folder()), &target, &*files).unwrap();
            assert_eq!(report.damage, []);
            let ended = journal.position();
            Backup {
                folder,
                moment: Moment { begun, ended },
            }
        })
    }

    /// Creates tasks that have expired already: one ends with a result, and one names the upload of a task that is kept.
    async fn create_expired(&mut self) {
        let id = TaskId::generate();
        let input = self.put_input(id).await;
        self.expire(&input);
        self.submit_for(Some((id, input)), Duration::ZERO).await;
        let history = self.ledger.task(id);
        let mut task = history.lock().await;
        let message = task.newest().unwrap().message();
        let claim = claim(&message, Isolation::Batched, now(), now() + HOUR);
        let claimed = self.write(&mut task, &claim).await.unwrap();
        let finished = self.put_result(&claimed).await;
        if let StoredResult::Object(result) = &finished.result {
            self.expire(result);
        }
        let completed = self.write(&mut task, &claimed.complete(&finished, now())).await;
        assert!(completed.is_some());
        let upload = self.upload().await;
        self.submit(Some((TaskId::generate(), upload.clone()))).await;
        self.submit_for(Some((TaskId::generate(), upload)), Duration::ZERO)
            .await;
    }

    /// Notes that a payload is deleted with tasks that have expired.
    fn expire(&self, object: &ObjectRef) {
        let mut payloads = self.ledger.payloads();
        let is_it = |states: &History<Option<ObjectRef>>| states.newest() == Some(&Some(object.clone()));
        let payload = payloads.iter_mut().rfind(|payload| is_it(&payload.states));
        payload.unwrap().has_expired = true;
    }

    /// Deletes what has expired, unless a backup holds that back: all tasks in one step, and then all payloads in one.
    async fn delete_expired(&mut self) {
        let begun = self.now();
        let deleted = self.embedded.delete_expired(now(), HOUR).await.unwrap();
        let answered = self.now();
        if deleted.tasks > 0 {
            let mut expired = 0;
            for id in self.ledger.task_ids() {
                let history = self.ledger.task(id);
                let mut task = history.lock().await;
                if task.has_expired && task.newest().is_some() {
                    task.states.push(begun, answered, None);
                    expired += 1;
                }
            }
            assert_eq!(deleted.tasks, expired);
        }
        if deleted.payloads > 0 {
            let mut payloads = self.ledger.payloads();
            let expired = payloads
                .iter_mut()
                .filter(|payload| payload.has_expired && payload.states.newest() != Some(&None));
            let expired = expired.map(|payload| payload.states.push(begun, answered, None));
            assert_eq!(deleted.payloads, expired.count());
        }
    }
}
