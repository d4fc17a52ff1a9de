/* Prints kernels. */
#include "ir/text/print.h"

static const char *const anchors[] = {"map", "reduce", "rows", "contract", "window"};
static const char *const axis_kinds[] = {"par", "sum", "row"};

static void print_space(tn_printer *p, const tn_kernel *kernel) {
  tn_buf_puts(p->out, "  space");
  for (size_t i = 0; i < kernel->space.n; i++) {
    const tn_axis *axis = &kernel->space.data[i];
    tn_buf_printf(p->out, "%s %s=", i > 0 ? "," : "", axis->symbol->name);
    tn_dim_print(axis->extent, p->out);
    tn_buf_printf(p->out, ":%s", axis_kinds[axis->kind]);
  }
  tn_buf_putc(p->out, '\n');
}

static void print_arg(tn_printer *p, const tn_karg *arg) {
  tn_buf_puts(p->out, arg->is_output ? "  out " : "  arg ");
  tn_print_name(p, '%', arg->name);
  tn_buf_puts(p->out, ": ");
  tn_print_type(p, arg->type, arg->storage);
  if (arg->part_axis >= 0) {
    tn_buf_printf(p->out, " part(%d: ", arg->part_axis);
    tn_dim_print(arg->part_lo, p->out);
    tn_buf_puts(p->out, " .. ");
    tn_dim_print(arg->part_hi, p->out);
    tn_buf_putc(p->out, ')');
  }
  if (arg->constant) {
    tn_buf_puts(p->out, " = ");
    tn_print_name(p, '@', arg->constant->name);
  }
  tn_buf_putc(p->out, '\n');
}

static void print_over(tn_printer *p, const tn_kernel *kernel, const tn_knode *node) {
  const char *separator = " over ";
  for (size_t i = 0; i < kernel->space.n; i++) {
    if (!(node->over >> i & 1)) continue;
    tn_buf_printf(p->out, "%s%s", separator, kernel->space.data[i].symbol->name);
    separator = ", ";
  }
}

static void print_ins(tn_printer *p, const tn_knode *node) {
  for (uint32_t i = 0; i < node->n_in; i++) tn_buf_printf(p->out, "%s%%%u", i > 0 ? ", " : " ", node->in[i]->id);
}

static void print_const(tn_printer *p, const tn_knode *node) {
  tn_buf_puts(p->out, "const ");
  if (tn_dtype_is_float(node->dtype)) tn_buf_double(p->out, node->constant.f);
  else if (node->dtype == TN_BOOL) tn_buf_puts(p->out, node->constant.i ? "true" : "false");
  else if (tn_dtype_is_signed(node->dtype)) tn_buf_printf(p->out, "%lld", (long long)node->constant.i);
  else tn_buf_printf(p->out, "%llu", (unsigned long long)node->constant.u);
}

static void print_access(tn_printer *p, const tn_kernel *kernel, const tn_knode *node) {
  tn_buf_putc(p->out, ' ');
  tn_print_name(p, '%', kernel->args.data[node->arg].name);
  tn_print_dims(p, node->index, node->n_index);
}

static void print_operation(tn_printer *p, const tn_kernel *kernel, const tn_knode *node) {
  switch (node->kind) {
    case TN_K_READ:
      tn_buf_puts(p->out, "read");
      print_access(p, kernel, node);
      if (node->n_in == 1) tn_buf_printf(p->out, " outside %%%u", node->in[0]->id);
      break;
    case TN_K_CONST:
      print_const(p, node);
      break;
    case TN_K_INDEX:
      tn_buf_puts(p->out, "index ");
      tn_dim_print(node->index[0], p->out);
      break;
    case TN_K_SCALAR:
      tn_buf_puts(p->out, tn_op_of_scalar(node->scalar)->name);
      print_ins(p, node);
      break;
    case TN_K_FOLD:
    case TN_K_ARGFOLD:
      tn_buf_printf(p->out, "%s %s", node->kind == TN_K_FOLD ? "fold" : "argfold", tn_fold_name(node->fold));
      print_ins(p, node);
      print_over(p, kernel, node);
      if (node->last) tn_buf_puts(p->out, " last");
      break;
    case TN_K_ARGSORT:
      tn_buf_puts(p->out, "argsort");
      print_ins(p, node);
      print_over(p, kernel, node);
      tn_buf_puts(p->out, " at ");
      tn_dim_print(node->index[0], p->out);
      if (node->descending) tn_buf_puts(p->out, " descending");
      break;
    case TN_K_CONTRACT:
      tn_buf_puts(p->out, "contract");
      print_ins(p, node);
      print_over(p, kernel, node);
      break;
    case TN_K_WRITE:
      tn_buf_printf(p->out, "write %%%u ->", node->in[0]->id);
      print_access(p, kernel, node);
      break;
    case TN_K_UPDATE:
      tn_buf_printf(p->out, "update %s %%%u ->",
                    node->scalar == TN_K_SET ? "set" : tn_op_of_scalar(node->scalar)->name, node->in[0]->id);
      print_access(p, kernel, node);
      break;
  }
}

static void print_node(tn_printer *p, const tn_kernel *kernel, const tn_knode *node) {
  tn_buf_puts(p->out, "  ");
  if (!tn_knode_is_write(node)) tn_buf_printf(p->out, "%%%u = ", node->id);
  print_operation(p, kernel, node);
  if (!tn_knode_is_write(node)) tn_buf_printf(p->out, " : %s", tn_dtype_name(node->dtype));
  if (node->value_symbol) {
    tn_buf_printf(p->out, " as %s", node->value_symbol->name);
    tn_print_range(p, node->value_symbol);
  }
  tn_print_loc_ref(p, node->loc);
  tn_buf_putc(p->out, '\n');
}

void tn_print_kernel(tn_printer *p, const tn_kernel *kernel) {
  tn_buf_printf(p->out, "\nkernel @%s anchor=%s", kernel->name, anchors[kernel->anchor]);
  tn_print_loc_ref(p, kernel->loc);
  tn_buf_puts(p->out, " {\n");
  print_space(p, kernel);
  for (size_t i = 0; i < kernel->args.n; i++) print_arg(p, &kernel->args.data[i]);
  for (size_t i = 0; i < kernel->nodes.n; i++) print_node(p, kernel, kernel->nodes.data[i]);
  tn_buf_puts(p->out, "}\n");
}
