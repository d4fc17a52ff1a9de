/* Forms of diagnostics; report.c chooses. Each form appends to a buffer of the session. */
#ifndef TN_FRONTEND_DRIVER_REPORT_H
#define TN_FRONTEND_DRIVER_REPORT_H

#include "frontend/driver/driver.h"

const char *tn_severity_name(tn_severity severity);
/* The place itself, of fused places the first. */
const tn_loc_info *tn_report_place(const tn_driver *driver, tn_loc loc);
/* The bytes of a line (from 1) of a source file in memory, without its end; NULL when there is none. */
const char *tn_report_line(const tn_driver *driver, const char *file, uint32_t line, size_t *out_bytes);
/* text as a JSON string in quotes; bytes that are no UTF-8 become U+FFFD. */
void tn_json_put_string(tn_buf *out, const char *text);
/* -fdiagnostics-format=json: one object a line, so that a reader need not wait for the end. */
void tn_json_put_diag(tn_buf *out, const tn_driver *driver, const tn_diag *diag, tn_severity severity);

/* -fdiagnostics-format=sarif: one SARIF 2.1.0 log (OASIS) of a whole run. Diagnostics are added in order; a note goes
 * with the one before it. */
typedef struct tn_sarif {
  tn_driver *driver;
  tn_buf results, rules, notes;
  size_t n_results, n_rules, n_notes;
  int64_t rule_of[TN_N_DIAG_CODES]; /* index in rules, -1: not there yet */
} tn_sarif;
tn_sarif tn_sarif_create(tn_driver *driver);
void tn_sarif_add(tn_sarif *sarif, const tn_diag *diag, tn_severity severity);
void tn_sarif_finish(tn_sarif *sarif, int exit_status, tn_buf *out);

#endif
