/* Which checkpoint a command means. */
#include <stdio.h>
#include <string.h>

#include "runtime/train/loop.h"

const tnrt_action *tnrt_plan_action(const tnrt_training *plan, uint32_t kind, bool with_best) {
  const tnrt_event *events = tnrt_plan_table(plan, plan->events);
  for (uint32_t i = 0; i < plan->n_events; i++) {
    const tnrt_action *actions = tnrt_plan_table(plan, events[i].actions);
    for (uint32_t k = 0; k < events[i].n_actions; k++)
      if (actions[k].kind == kind && (!with_best || actions[k].has_best)) return &actions[k];
  }
  return NULL;
}

void tnrt_checkpoint_folder(const tnrt_training *plan, const tnrt_command *command, char *out, size_t bytes) {
  const tnrt_action *action = tnrt_plan_action(plan, TNRT_ACTION_CHECKPOINT, false);
  if (command->folder) snprintf(out, bytes, "%s", command->folder);
  else if (action && action->text) snprintf(out, bytes, "%s", tnrt_plan_text(plan, action->text));
  else snprintf(out, bytes, "%s.checkpoints", command->program);
}

tnrt_status tnrt_checkpoint_open(tnrt_message *message, const tnrt_alloc *alloc, const tnrt_training *plan,
                                 const tnrt_command *command, tnrt_reading **out) {
  char folder[1024], path[2048];
  const char *name = command->checkpoint;
  bool is_best = name ? strcmp(name, "best") == 0 : tnrt_plan_action(plan, TNRT_ACTION_CHECKPOINT, true) != NULL;
  bool is_last = name && strcmp(name, "last") == 0;
  *out = NULL;
  if (name && !is_best && !is_last) return tnrt_reading_open(out, message, alloc, name);
  tnrt_checkpoint_folder(plan, command, folder, sizeof folder);
  return tnrt_reading_find(out, message, alloc, folder, is_best ? TNRT_WHICH_BEST : TNRT_WHICH_LAST, path, sizeof path,
                           NULL);
}
