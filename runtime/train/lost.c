/* `on lost_rank`: a training whose processes did not end in order goes on when it is started again. While one is under
 * way its folder of checkpoints has a file UNFINISHED, which goes where a training ends by itself, on request, or with
 * an error; where a process is killed, or the others end because one is stuck, it stays. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/train/loop_parts.h"
#include "runtime/train/whole.h"

static const tnrt_action *resume_of(const tnrt_training *plan) {
  const tnrt_action *actions = tnrt_plan_table(plan, plan->on_lost);
  for (uint32_t i = 0; i < plan->n_on_lost; i++)
    if (actions[i].kind == TNRT_ACTION_RESUME) return &actions[i];
  return NULL;
}

bool tnrt_lost_resumes(const tnrt_training *plan) { return resume_of(plan) != NULL; }

static bool mark_path(const tnrt_loop *l, char *out, size_t bytes) {
  tnrt_message ignored;
  return tnrt_path_join(&ignored, out, bytes, l->folder, "UNFINISHED") == TNRT_OK;
}

tnrt_status tnrt_lost_find(tnrt_loop *l) {
  char path[2048];
  const tnrt_action *action = resume_of(l->plan);
  int32_t found = 0;
  l->resumes = l->command->resume;
  if (!action || l->resumes || l->command->weights) return TNRT_OK;
  if (tnrt_loop_writes(l) && mark_path(l, path, sizeof path) && access(path, F_OK) == 0) {
    tnrt_message why, notes;
    tnrt_which which = action->has_best ? TNRT_WHICH_BEST : TNRT_WHICH_LAST;
    found = tnrt_checkpoint_find(&why, l->alloc, l->folder, which, path, sizeof path, &notes) == TNRT_OK;
  }
  tnrt_status status = tnrt_world_broadcast(l->world, &found, sizeof found, 0, "whether a training is unfinished");
  l->resumes = found;
  l->resumes_best = found && action->has_best;
  return status;
}

void tnrt_lost_tell(const tnrt_loop *l) {
  if (l->resumes && !l->command->resume)
    tnrt_logs_note(l->logs, "the last training in '%s' did not end: this one goes on with it (on lost_rank; another "
                   "--checkpoint-dir begins one)", l->folder);
}

void tnrt_lost_mark(tnrt_loop *l) {
  static const char text[] = "a training that has not ended: train goes on with it (on lost_rank)\n";
  char path[2048];
  tnrt_message message;
  if (!tnrt_lost_resumes(l->plan) || !tnrt_loop_writes(l) || !mark_path(l, path, sizeof path)) return;
  l->is_marked = tnrt_whole_write(&message, path, text, sizeof text - 1) == TNRT_OK;
  if (!l->is_marked) tnrt_logs_note(l->logs, "where a process is lost, only --resume will go on: %s", message.text);
}

void tnrt_lost_unmark(tnrt_loop *l) {
  char path[2048];
  if (!l->is_marked || l->world->is_lost || !mark_path(l, path, sizeof path)) return;
  if (unlink(path) == 0 || errno == ENOENT) (void)tnrt_sync_folder_of(path);
}

/* What this process has of the last step that was done, where that is whole: sharded states are not. */
static void save(tnrt_loop *l) {
  tnrt_message message;
  if (!l->store || l->is_torn || l->plan->zero || l->saved_at == l->step) return;
  tnrt_loop_pack(l);
  tnrt_status status = tnrt_store_write(l->store, &message, &l->state.contents, &l->keep);
  if (status == TNRT_OK) l->saved_at = l->step;
  else tnrt_logs_note(l->logs, "step %lld: no checkpoint: %s", (long long)l->step, message.text);
}

void tnrt_lost_react(tnrt_loop *l) {
  tnrt_message message, said = *l->message;
  const tnrt_action *actions = tnrt_plan_table(l->plan, l->plan->on_lost);
  bool saves = tnrt_lost_resumes(l->plan);
  if (!l->plan->n_on_lost) return;
  l->keep.has_value = false;
  for (uint32_t i = 0; i < l->plan->n_on_lost && tnrt_loop_writes(l) && l->logs; i++) {
    tnrt_report report = tnrt_loop_report(l);
    if (actions[i].kind == TNRT_ACTION_LOG) tnrt_logs_write(l->logs, &actions[i], &report);
    saves |= actions[i].kind == TNRT_ACTION_CHECKPOINT;
  }
  if (saves && tnrt_loop_writes(l)) save(l);
  if (l->store && tnrt_store_wait(l->store, &message) != TNRT_OK) tnrt_logs_note(l->logs, "%s", message.text);
  if (!tnrt_lost_resumes(l->plan)) return;
  l->world->restarts = true;
  if (tnrt_loop_writes(l) && l->saved_at >= 0)
    tnrt_fail(l->message, TNRT_IO, "%.300s; the same command goes on, with any number of processes, from step %lld in "
              "'%.80s'", said.text, (long long)l->saved_at, l->folder);
  else
    tnrt_fail(l->message, TNRT_IO, "%.300s; the same command goes on, with any number of processes, from the last "
              "checkpoint in '%.80s'", said.text, l->folder);
}
