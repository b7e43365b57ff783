/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libcrypto that fails: the n-th call from now on, or every call from the n-th. It stands
 * between the library and libcrypto by the linker's --wrap (see module.mk) and covers every
 * function of it that the library calls and that can fail. It also counts what libcrypto has
 * given out and not got back, so that a leak shows in every run.
 */
#ifndef FWR_TEST_CRYPTO_FAULTS_H
#define FWR_TEST_CRYPTO_FAULTS_H

#include <stdbool.h>

/* Lets call number `call` fail, and all behind it if `forever`; 0: none fails. Counts from
 * zero again. */
void crypto_faults_arm(unsigned call, bool forever);

/* Calls since then. */
unsigned crypto_faults_calls(void);

/* The function that failed first since then, or NULL. */
const char *crypto_faults_struck(void);

/* Objects of libcrypto that the library and the test hold now. */
int crypto_faults_held(void);

#endif
