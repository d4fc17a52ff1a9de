/* The grammar of the tenon language; grammar/LANGUAGE.md is its reference. Tables are canonical LR(1), so that the
 * tokens expected at an error are exactly those that could follow.
 *
 * Symbols' locations are ranges of tokens (parser.h). Each rule makes its node with one function of tree.c. SEP ends a
 * statement: a ';', or the end of a line where frontend/lang/feed.c says so. After an error, the feed leaves out what
 * cannot be used and hands over SKIPPED for it, or SKIPPED_HEAD when a block follows. */
%require "3.8"
%define api.pure full
%define api.prefix {tn_lang_yy}
%define api.token.prefix {TOK_}
%define api.location.type {tn_lang_range}
%define parse.error custom
%define lr.type canonical-lr
%locations
%param {tn_lang_parser *parser}
%expect 0
%initial-action { (void)yynerrs; /* counted by parser->n_errors */ }

%code requires {
#include "frontend/lang/tree.h"
}

%code provides {
int tn_lang_yylex(TN_LANG_YYSTYPE *value, tn_lang_range *where, tn_lang_parser *parser);
void tn_lang_yyerror(const tn_lang_range *where, tn_lang_parser *parser, const char *text);
}

%code {
/* Memory of the parser's stack goes with the arena. The expansions stand inside yyparse, where parser is known. */
#define YYMALLOC(bytes) tn_arena_alloc(parser->arena, bytes)
#define YYFREE(data) ((void)(data))

/* An empty rule stands before the next token. */
#define YYLLOC_DEFAULT(current, rhs, n)                                                         \
  ((current) = (n) ? (tn_lang_range){YYRHSLOC(rhs, 1).first, YYRHSLOC(rhs, n).last}             \
                   : (tn_lang_range){YYRHSLOC(rhs, 0).last, YYRHSLOC(rhs, 0).last})
#define ROLE(where, what) (parser->tokens.data[(where).first].role = TN_ROLE_##what)
}

%union {
  tn_ast_name name;
  tn_ast_names names;
  tn_ast_expr *expr;
  tn_ast_arg arg;
  tn_ast_args args;
  tn_ast_idx idx;
  tn_ast_idxs idxs;
  tn_ast_type *type;
  tn_ast_types types;
  tn_ast_dim dim;
  tn_ast_dims dims;
  tn_ast_body *body;
  tn_ast_stmt *stmt;
  tn_ast_carry carry;
  tn_ast_carries carries;
  tn_ast_formal formal;
  tn_ast_formals formals;
  tn_ast_dim_decl decl;
  tn_ast_dim_decls decls;
  tn_ast_item *item;
  tn_lang_lhs lhs;
  tn_lang_def def;
}

%token ID NUM STR SEP
%token PIPE "|>" DOTDOT ".." ARROW "->" EQ "==" NE "!=" LE "<=" GE ">=" ADDTO "+="
%token IMPORT "import" LET "let" RETURN "return" PARAM "param" BUFFER "buffer" SUB "sub" FOR "for" IN "in" SCAN "scan"
%token YIELD "yield" EVERY "every" STOP "stop" WHEN "when" ON "on" REQUIRE "require" FREEZE "freeze"
%token UNFREEZE "unfreeze" PARAMS "params" AND "and" OR "or" NOT "not"
%token DATA "data" TRAIN "train" MODEL "model" MODULE "module" COMPRESS "compress" DEPLOY "deploy" TEST "test"
%token MESH "mesh" DIM "dim" FROM "from" ALONG "along" CARRY "carry" AS "as"
%token VERSION "tenon" SKIPPED SKIPPED_HEAD CUT_OFF

%left "|>"
%left ".."
%left "or"
%left "and"
%precedence "not"
%nonassoc "==" "!=" '<' '>' "<=" ">="
%left '+' '-'
%left '*' '/' '%'
%precedence UMINUS
%right '^'

%type <name> name argname
%type <names> names
%type <expr> expr postfix call
%type <arg> arg
%type <args> args
%type <idx> idx
%type <idxs> index
%type <type> type
%type <types> types
%type <dim> dimx
%type <dims> dims dims1
%type <body> body lines
%type <stmt> stmt
%type <carry> carry
%type <carries> carries
%type <formal> formal
%type <formals> formals formals1
%type <decl> dimdecl
%type <decls> dimdecls
%type <item> item
%type <lhs> lhs
%type <def> def block

%%

/* No rule that may be empty stands where an error can: bison shifts `error` only where nothing is to be reduced. */
file: %empty | tsep | items | tsep items | version | version items ;
version: "tenon" NUM tsep               { tn_tree_version(parser, @2); } ;
items: item tsep                        { tn_tree_add_item(parser, $1); }
    | items item tsep                   { tn_tree_add_item(parser, $2); }
    ;
tsep: SEP | tsep SEP ;
osep: %empty | osep SEP ;
sep: SEP osep
   | ',' osep                           { ROLE(@1, SEPARATOR); }
   ;

/* --- Items --- */

item: "import" STR                      { $$ = tn_tree_import(parser, @$, @2, (tn_ast_name){0}, false); }
    | "import" STR "as" ID              { $$ = tn_tree_import(parser, @$, @2, tn_tree_name(parser, @4), false); }
    | "import" ID "from" STR            { $$ = tn_tree_import(parser, @$, @4, tn_tree_name(parser, @2), true); }
    | "dim" dimdecls                    { $$ = tn_tree_item(parser, @$, TN_AST_DIM, (tn_ast_name){0});
                                          $$->dims = $2; }
    | "let" name '=' expr               { $$ = tn_tree_item(parser, @$, TN_AST_LET_ITEM, $2);
                                          $$->value = $4; }
    | "mesh" name '=' '(' args ')'      { $$ = tn_tree_item(parser, @$, TN_AST_MESH, $2);
                                          $$->value = tn_tree_tuple(parser, (tn_lang_range){@4.first, @6.last}, $5); }
    | "data" name '=' expr              { $$ = tn_tree_item(parser, @$, TN_AST_DATA, $2); $$->value = $4; }
    | "data" name '=' expr block        { $$ = tn_tree_item(parser, @$, TN_AST_DATA, $2);
                                          $$->value = $4; $$->body = $5.body; }
    | "module" name '(' formals ')' "->" type def
                                        { $$ = tn_tree_module(parser, @$, TN_AST_MODULE, $2, $4, $7, $8);
                                          ROLE(@3, TIGHT); }
    | "model" name '(' formals ')' "->" type def
                                        { $$ = tn_tree_module(parser, @$, TN_AST_MODEL, $2, $4, $7, $8);
                                          ROLE(@3, TIGHT); }
    | "model" name '=' expr             { $$ = tn_tree_item(parser, @$, TN_AST_MODEL, $2); $$->value = $4; }
    | "train" name "on" name block      { $$ = tn_tree_block(parser, @$, TN_AST_TRAIN, $2, $4, $5.body); }
    | "compress" name "from" name block { $$ = tn_tree_block(parser, @$, TN_AST_COMPRESS, $2, $4, $5.body); }
    | "deploy" name "from" name block   { $$ = tn_tree_block(parser, @$, TN_AST_DEPLOY, $2, $4, $5.body); }
    | "test" STR block                  { $$ = tn_tree_test(parser, @$, @2, $3.body); }
    | error SKIPPED                     { $$ = NULL; yyerrok; }
    | error skipped_head block          { $$ = NULL; }
    ;
skipped_head: SKIPPED_HEAD              { yyerrok; } ;
dimdecls: dimdecl                       { $$ = (tn_ast_dim_decls){0}; TN_VEC_PUSH(parser->ctx->arena, &$$, $1); }
    | dimdecls ',' dimdecl              { $$ = $1; TN_VEC_PUSH(parser->ctx->arena, &$$, $3); }
    ;
dimdecl: name '=' expr                  { $$ = (tn_ast_dim_decl){tn_lang_loc(parser, @$), $1, $3}; } ;
def: '=' expr                           { $$ = (tn_lang_def){.value = $2}; }
   | block
   ;
formals: %empty                         { $$ = (tn_ast_formals){0}; }
    | formals1
    ;
formals1: formal                        { $$ = (tn_ast_formals){0}; TN_VEC_PUSH(parser->ctx->arena, &$$, $1); }
    | formals1 ',' formal               { $$ = $1; TN_VEC_PUSH(parser->ctx->arena, &$$, $3); }
    ;
formal: name ':' type                   { $$ = tn_tree_formal(parser, @$, $1, $3, NULL); }
    | name ':' type '=' expr            { $$ = tn_tree_formal(parser, @$, $1, $3, $5); }
    ;

/* --- Types --- */

type: ID                                { $$ = tn_tree_type(parser, @$, @1, false, (tn_ast_dims){0}); }
    | ID '[' dims ']'                   { $$ = tn_tree_type(parser, @$, @1, true, $3); ROLE(@2, TIGHT); }
    | '(' types ')'                     { $$ = tn_tree_type_tuple(parser, @$, $2); }
    ;
types: type                             { $$ = (tn_ast_types){0}; TN_VEC_PUSH(parser->ctx->arena, &$$, $1); }
    | types ',' type                    { $$ = $1; TN_VEC_PUSH(parser->ctx->arena, &$$, $3); }
    ;
dims: %empty                            { $$ = (tn_ast_dims){0}; }
    | dims1
    ;
dims1: dimx                             { $$ = (tn_ast_dims){0}; TN_VEC_PUSH(parser->ctx->arena, &$$, $1); }
    | dims1 ',' dimx                    { $$ = $1; TN_VEC_PUSH(parser->ctx->arena, &$$, $3); }
    ;
dimx: expr                              { $$ = tn_tree_dim(parser, @$, $1, (tn_ast_names){0}); }
    | expr '@' name                     { $$ = tn_tree_dim(parser, @$, $1, tn_tree_names(parser, $3)); }
    | expr '@' '(' names ')'            { $$ = tn_tree_dim(parser, @$, $1, $4); ROLE(@3, TIGHT); }
    | ".." name                         { $$ = (tn_ast_dim){.loc = tn_lang_loc(parser, @$), .rest = $2}; }
    ;
names: name                             { $$ = tn_tree_names(parser, $1); }
    | names ',' name                    { $$ = $1; TN_VEC_PUSH(parser->ctx->arena, &$$, $3); }
    ;

/* --- Statements --- */

block: '{' lines '}'                    { $$ = (tn_lang_def){.body = tn_tree_end_body(parser, @$, $2)}; } ;
lines: %empty                           { $$ = NULL; }
    | tsep                              { $$ = NULL; }
    | body
    | tsep body                         { $$ = $2; }
    | body sep
    | tsep body sep                     { $$ = $2; }
    ;
body: stmt                              { $$ = tn_tree_body(parser, NULL, $1); }
    | body sep stmt                     { $$ = tn_tree_body(parser, $1, $3); }
    ;
stmt: "return" expr                     { $$ = tn_tree_value(parser, @$, TN_AST_RETURN, (tn_ast_name){0}, NULL, $2); }
    | "let" lhs '=' expr                { $$ = tn_tree_let(parser, @$, $2, NULL, $4); }
    | "let" name ':' type '=' expr      { tn_lang_lhs lhs = {tn_tree_names(parser, $2), false};
                                          $$ = tn_tree_let(parser, @$, lhs, $4, $6); }
    | name '=' expr                     { $$ = tn_tree_value(parser, @$, TN_AST_SET, $1, NULL, $3); ROLE(@2, ASSIGN); }
    | name "+=" expr                    { $$ = tn_tree_value(parser, @$, TN_AST_ADD_TO, $1, NULL, $3); }
    | name ':' type '=' expr            { $$ = tn_tree_value(parser, @$, TN_AST_FIELD, $1, $3, $5);
                                          ROLE(@2, TYPED); ROLE(@4, ASSIGN); }
    | "param" name ':' type             { $$ = tn_tree_value(parser, @$, TN_AST_PARAM, $2, $4, NULL); ROLE(@3, TYPED); }
    | "param" name ':' type '=' expr    { $$ = tn_tree_value(parser, @$, TN_AST_PARAM, $2, $4, $6);
                                          ROLE(@3, TYPED); ROLE(@5, ASSIGN); }
    | "buffer" name ':' type '=' expr   { $$ = tn_tree_value(parser, @$, TN_AST_BUFFER, $2, $4, $6);
                                          ROLE(@3, TYPED); ROLE(@5, ASSIGN); }
    | "sub" name '=' expr               { $$ = tn_tree_value(parser, @$, TN_AST_SUB_DECL, $2, NULL, $4); }
    | "for" name "in" expr block        { $$ = tn_tree_value(parser, @$, TN_AST_FOR, $2, NULL, $4);
                                          $$->body = $5.body; }
    | "scan" lhs "in" expr "along" name "carry" carries block
                                        { $$ = tn_tree_scan(parser, @$, $2, $4, $6, $8); $$->body = $9.body; }
    | "yield" name '=' expr             { $$ = tn_tree_value(parser, @$, TN_AST_YIELD, $2, NULL, $4); }
    | "every" expr name block           { $$ = tn_tree_value(parser, @$, TN_AST_EVERY, $3, NULL, $2);
                                          $$->body = $4.body; }
    | "stop" "when" expr                { $$ = tn_tree_value(parser, @$, TN_AST_STOP, (tn_ast_name){0}, NULL, $3); }
    | "on" name block                   { $$ = tn_tree_value(parser, @$, TN_AST_ON, $2, NULL, NULL);
                                          $$->body = $3.body; }
    | "require" expr                    { $$ = tn_tree_value(parser, @$, TN_AST_REQUIRE, (tn_ast_name){0}, NULL, $2); }
    | "freeze" STR                      { $$ = tn_tree_glob(parser, @$, TN_AST_FREEZE, @2, NULL); }
    | "unfreeze" STR                    { $$ = tn_tree_glob(parser, @$, TN_AST_UNFREEZE, @2, NULL); }
    | "params" STR block                { $$ = tn_tree_glob(parser, @$, TN_AST_PARAMS, @2, $3.body); }
    | call                              { $$ = tn_tree_value(parser, @$, TN_AST_DO, (tn_ast_name){0}, NULL, $1); }
    | error SKIPPED                     { $$ = NULL; yyerrok; }
    | error skipped_head block          { $$ = NULL; }
    ;
lhs: name                               { $$ = (tn_lang_lhs){tn_tree_names(parser, $1), false}; }
    | '(' names ')'                     { $$ = (tn_lang_lhs){$2, true}; }
    ;
carries: carry                          { $$ = (tn_ast_carries){0}; TN_VEC_PUSH(parser->ctx->arena, &$$, $1); }
    | carries ',' carry                 { $$ = $1; TN_VEC_PUSH(parser->ctx->arena, &$$, $3); }
    ;
carry: name '=' expr                    { $$ = (tn_ast_carry){tn_lang_loc(parser, @$), $1, $3}; } ;

/* --- Expressions --- */

expr: expr "|>" expr                    { $$ = tn_tree_pipe(parser, @$, $1, @2, $3); }
    | expr ".." expr                    { $$ = tn_tree_range(parser, @$, $1, $3); }
    | expr "or" expr                    { $$ = tn_tree_binary(parser, @$, TN_AST_OR, $1, @2, $3); }
    | expr "and" expr                   { $$ = tn_tree_binary(parser, @$, TN_AST_AND, $1, @2, $3); }
    | "not" expr                        { $$ = tn_tree_binary(parser, @$, TN_AST_NOT, NULL, @1, $2); }
    | expr "==" expr                    { $$ = tn_tree_binary(parser, @$, TN_AST_EQ, $1, @2, $3); }
    | expr "!=" expr                    { $$ = tn_tree_binary(parser, @$, TN_AST_NE, $1, @2, $3); }
    | expr '<' expr                     { $$ = tn_tree_binary(parser, @$, TN_AST_LT, $1, @2, $3); }
    | expr '>' expr                     { $$ = tn_tree_binary(parser, @$, TN_AST_GT, $1, @2, $3); }
    | expr "<=" expr                    { $$ = tn_tree_binary(parser, @$, TN_AST_LE, $1, @2, $3); }
    | expr ">=" expr                    { $$ = tn_tree_binary(parser, @$, TN_AST_GE, $1, @2, $3); }
    | expr '+' expr                     { $$ = tn_tree_binary(parser, @$, TN_AST_ADD, $1, @2, $3); }
    | expr '-' expr                     { $$ = tn_tree_binary(parser, @$, TN_AST_SUB, $1, @2, $3); }
    | expr '*' expr                     { $$ = tn_tree_binary(parser, @$, TN_AST_MUL, $1, @2, $3); }
    | expr '/' expr                     { $$ = tn_tree_binary(parser, @$, TN_AST_DIV, $1, @2, $3); }
    | expr '%' expr                     { $$ = tn_tree_binary(parser, @$, TN_AST_MOD, $1, @2, $3); }
    | expr '^' expr                     { $$ = tn_tree_binary(parser, @$, TN_AST_POW, $1, @2, $3); }
    | '-' expr %prec UMINUS             { $$ = tn_tree_binary(parser, @$, TN_AST_NEG, NULL, @1, $2); ROLE(@1, PREFIX); }
    | postfix
    ;
postfix: name                           { $$ = tn_tree_name_expr(parser, @$, $1); }
    | NUM                               { $$ = tn_tree_number(parser, @1); }
    | STR                               { $$ = tn_tree_string_expr(parser, @1); }
    | '(' args ')'                      { $$ = tn_tree_tuple(parser, @$, $2); }
    | call
    | postfix '.' name                  { $$ = tn_tree_member(parser, @$, $1, $3); }
    | postfix '[' index ']'             { $$ = tn_tree_index(parser, @$, $1, $3); ROLE(@2, TIGHT); }
    ;
call: postfix '(' args ')'              { $$ = tn_tree_call(parser, @$, $1, $3); ROLE(@2, TIGHT); }
    | postfix '(' ')'                   { $$ = tn_tree_call(parser, @$, $1, (tn_ast_args){0}); ROLE(@2, TIGHT); }
    ;
args: arg                               { $$ = (tn_ast_args){0}; TN_VEC_PUSH(parser->ctx->arena, &$$, $1); }
    | args ',' arg                      { $$ = $1; TN_VEC_PUSH(parser->ctx->arena, &$$, $3); }
    ;
arg: expr                               { $$ = (tn_ast_arg){tn_lang_loc(parser, @$), {0}, $1}; }
    | argname ':' expr                  { $$ = (tn_ast_arg){tn_lang_loc(parser, @$), $1, $3}; }
    ;
argname: name
    | "on"                              { $$ = tn_tree_name(parser, @1); }
    | "for"                             { $$ = tn_tree_name(parser, @1); }
    | "in"                              { $$ = tn_tree_name(parser, @1); }
    | "every"                           { $$ = tn_tree_name(parser, @1); }
    | "stop"                            { $$ = tn_tree_name(parser, @1); }
    | "when"                            { $$ = tn_tree_name(parser, @1); }
    ;
index: idx                              { $$ = (tn_ast_idxs){0}; TN_VEC_PUSH(parser->ctx->arena, &$$, $1); }
    | index ',' idx                     { $$ = $1; TN_VEC_PUSH(parser->ctx->arena, &$$, $3); }
    ;
idx: expr                               { $$ = (tn_ast_idx){tn_lang_loc(parser, @$), {0}, $1}; }
    | name ':' expr                     { $$ = (tn_ast_idx){tn_lang_loc(parser, @$), $1, $3}; }
    | ".."                              { $$ = (tn_ast_idx){.loc = tn_lang_loc(parser, @$)}; }
    ;
name: ID                                { $$ = tn_tree_name(parser, @1); }
    | "data"                            { $$ = tn_tree_name(parser, @1); }
    | "train"                           { $$ = tn_tree_name(parser, @1); }
    | "model"                           { $$ = tn_tree_name(parser, @1); }
    | "module"                          { $$ = tn_tree_name(parser, @1); }
    | "compress"                        { $$ = tn_tree_name(parser, @1); }
    | "deploy"                          { $$ = tn_tree_name(parser, @1); }
    | "test"                            { $$ = tn_tree_name(parser, @1); }
    | "mesh"                            { $$ = tn_tree_name(parser, @1); }
    | "dim"                             { $$ = tn_tree_name(parser, @1); }
    | "from"                            { $$ = tn_tree_name(parser, @1); }
    | "along"                           { $$ = tn_tree_name(parser, @1); }
    | "carry"                           { $$ = tn_tree_name(parser, @1); }
    | "as"                              { $$ = tn_tree_name(parser, @1); }
    ;

%%

static int yyreport_syntax_error(const yypcontext_t *context, tn_lang_parser *parser) {
  yysymbol_kind_t kinds[YYNTOKENS];
  const char *names[YYNTOKENS];
  int n = yypcontext_expected_tokens(context, kinds, YYNTOKENS);
  for (int i = 0; i < n; i++) names[i] = yysymbol_name(kinds[i]);
  (void)yypcontext_token(context); /* parser->found is the same */
  tn_lang_report_syntax(parser, names, n);
  return 0;
}
