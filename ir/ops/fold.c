/* Folds and sums of products; see fold.h. */
#include "ir/ops/fold.h"

#include <math.h>

const char *const tn_fold_names[] = {"sum", "prod", "max", "min", "and", "or", NULL};

tn_dtype tn_acc_dtype(tn_dtype dtype, const tn_attr *acc) {
  return acc->present ? (tn_dtype)acc->u.i : tn_dtype_acc(dtype);
}

tn_dtype tn_product_dtype(tn_dtype dtype, const tn_attr *acc) {
  return tn_dtype_is_float(dtype) ? dtype : tn_acc_dtype(dtype, acc);
}

bool tn_infer_acc(const tn_infer *infer, const tn_attr *acc, tn_dtype dtype) {
  if (!acc->present) return true;
  tn_dtype to = (tn_dtype)acc->u.i;
  bool same_kind = tn_dtype_is_float(dtype) ? tn_dtype_is_float(to) : tn_dtype_is_integer(to);
  if (same_kind && tn_dtype_bits(to) >= tn_dtype_bits(dtype)) return true;
  return tn_infer_error(infer, TN_E_DTYPE, "acc: %s cannot accumulate %s", tn_dtype_name(to), tn_dtype_name(dtype));
}

tn_accumulator tn_accumulator_of(const tn_eval *eval, tn_dtype from, const tn_attr *acc, tn_dtype to) {
  return (tn_accumulator){eval->mode == TN_EVAL_EXACT, from, tn_acc_dtype(from, acc), to};
}

void tn_accumulate_product(const tn_accumulator *sum, tn_number *total, tn_number p, tn_number q) {
  if (!tn_dtype_is_float(sum->acc)) {
    *total = tn_number_wrap(sum->acc, (tn_number){.u = total->u + p.u * q.u});
  } else if (!sum->exact) {
    total->f += p.f * q.f;
  } else if (sum->acc == TN_F64) {
    total->f = fma(p.f, q.f, total->f);
  } else {
    /* the product of two f32 numbers is exact in double */
    total->f = tn_number_round_float(sum->acc, total->f + p.f * q.f);
  }
}

tn_number tn_accumulate_end(const tn_accumulator *sum, tn_number total) {
  if (tn_dtype_is_float(sum->to)) return sum->exact ? (tn_number){.f = tn_number_round_float(sum->to, total.f)} : total;
  return tn_number_wrap(sum->to, total);
}

void tn_accumulate_row(const tn_accumulator *sum, tn_number *totals, tn_number p, const tn_number *q, int64_t n) {
  if (sum->exact && sum->acc == TN_F32) { /* the common cases, which compilers make vectors of */
    for (int64_t i = 0; i < n; i++) totals[i].f = (double)(float)(totals[i].f + p.f * q[i].f);
  } else if (!sum->exact && tn_dtype_is_float(sum->acc)) {
    for (int64_t i = 0; i < n; i++) totals[i].f += p.f * q[i].f;
  } else {
    for (int64_t i = 0; i < n; i++) tn_accumulate_product(sum, &totals[i], p, q[i]);
  }
}

tn_number tn_fold_identity(tn_fold fold, tn_dtype dtype) {
  bool is_float = tn_dtype_is_float(dtype), is_signed = tn_dtype_is_signed(dtype);
  switch (fold) {
    case TN_FOLD_SUM:
    case TN_FOLD_OR: return is_float ? (tn_number){.f = 0} : (tn_number){.u = 0};
    case TN_FOLD_PROD: return is_float ? (tn_number){.f = 1} : (tn_number){.u = 1};
    case TN_FOLD_AND: return dtype == TN_BOOL ? (tn_number){.i = 1} : tn_number_wrap(dtype, (tn_number){.i = -1});
    case TN_FOLD_MAX:
      if (is_float) return (tn_number){.f = -INFINITY};
      return is_signed ? (tn_number){.i = tn_dtype_int_min(dtype)} : (tn_number){.u = 0};
    case TN_FOLD_MIN:
      if (is_float) return (tn_number){.f = INFINITY};
      return (tn_number){.u = dtype == TN_BOOL ? 1 : tn_dtype_int_max(dtype)};
  }
  TN_ASSERT(false);
  return (tn_number){.u = 0};
}

tn_number tn_fold_step(tn_fold fold, tn_dtype dtype, bool exact, tn_number total, tn_number v) {
  static const tn_scalar scalars[] = {TN_ADD, TN_MUL, TN_MAX, TN_MIN, TN_AND, TN_OR};
  tn_number args[2] = {total, v};
  return tn_scalar_apply(scalars[fold], dtype, dtype, exact, args);
}

bool tn_infer_fold(const tn_infer *infer, tn_fold fold, tn_dtype dtype) {
  bool logical = fold == TN_FOLD_AND || fold == TN_FOLD_OR;
  bool fits = logical ? !tn_dtype_is_float(dtype) : dtype != TN_BOOL;
  if (fits) return true;
  return tn_infer_error(infer, TN_E_DTYPE, "'%s' of %s", tn_fold_names[fold], tn_infer_operand(infer, 0));
}
