/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A main for fuzz targets where no fuzzer is: runs the target on every file of the folders
 * given, and on changed copies of them that follow from a fixed seed. So the corpus, with the
 * input of every fault that was ever found, is part of the everyday tests of any compiler.
 *
 *     fuzz_NOUN COPIES FILE-OR-FOLDER ...
 */
#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/seeded.h"

#define INPUT_MAX 65536
#define FILES_MAX 4096

static struct input {
    char *path;
    uint8_t *bytes;
    size_t length;
} inputs[FILES_MAX];
static size_t input_count;

/* For the message of a fault. */
static const char *running;
static unsigned long copy_number;
static const uint8_t *running_bytes;
static size_t running_length;

static void die(const char *what, const char *path)
{
    fprintf(stderr, "%s: %s\n", path, what);
    exit(99);
}

static void add_file(const char *path)
{
    uint8_t *bytes = malloc(INPUT_MAX);
    FILE *file = fopen(path, "rb");

    if (bytes == NULL || file == NULL || input_count == FILES_MAX)
        die("cannot be read", path);
    inputs[input_count].length = fread(bytes, 1, INPUT_MAX, file);
    inputs[input_count].bytes = bytes;
    inputs[input_count++].path = strdup(path);
    fclose(file);
}

static void add(const char *path)
{
    struct stat status;
    struct dirent **names;
    int count;

    if (stat(path, &status) != 0)
        die("is not there", path);
    if (!S_ISDIR(status.st_mode)) {
        add_file(path);
        return;
    }
    count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
        die("cannot be listed", path);
    for (int i = 0; i < count; i++) {
        char below[4096];

        snprintf(below, sizeof(below), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            add(below);
        free(names[i]);
    }
    free(names);
}

static void run(const uint8_t *bytes, size_t length)
{
    uint8_t *exact = malloc(length > 0 ? length : 1); /* so that tools see what is read behind it */

    if (exact == NULL)
        abort();
    if (length > 0)
        memcpy(exact, bytes, length);
    running_bytes = bytes;
    running_length = length;
    LLVMFuzzerTestOneInput(exact, length);
    free(exact);
}

/* One change: a bit, a byte, a cut, a piece of another input, or a piece twice. */
static size_t change(uint64_t *seed, uint8_t *bytes, size_t length)
{
    const struct input *other = &inputs[seeded_below(seed, (uint32_t)input_count)];
    size_t at = length > 0 ? seeded_below(seed, (uint32_t)length) : 0;
    size_t piece = 1 + seeded_below(seed, 32);

    switch (seeded_below(seed, 6)) {
    case 0:
        if (length > 0)
            bytes[at] ^= (uint8_t)(1u << seeded_below(seed, 8));
        return length;
    case 1:
    case 2:
        if (length > 0)
            bytes[at] = (uint8_t)seeded_below(seed, 256);
        return length;
    case 3:
        return seeded_below(seed, 4) == 0 ? at : length;
    case 4:
        if (other->length < piece || at + piece > length)
            return length;
        memcpy(bytes + at, other->bytes + seeded_below(seed, (uint32_t)(other->length - piece + 1)),
               piece);
        return length;
    default:
        if (at + piece > length || length + piece > INPUT_MAX)
            return length;
        memmove(bytes + at + piece, bytes + at, length - at);
        return length + piece;
    }
}

/* The input that ended it, for a file of its own in the corpus (xxd -r -p). */
static void on_fault(int number)
{
    fprintf(stderr, "signal %d in %s, copy %lu:\n", number, running, copy_number);
    for (size_t i = 0; i < running_length; i++)
        fprintf(stderr, "%02x", running_bytes[i]);
    fputc('\n', stderr);
    signal(number, SIG_DFL);
    raise(number);
}

int main(int argc, char **argv)
{
    static uint8_t bytes[INPUT_MAX];
    uint64_t seed = 1;
    unsigned long copies;

    if (argc < 3)
        die("give the number of copies, and files", argv[0]);
    copies = strtoul(argv[1], NULL, 10);
    for (int i = 2; i < argc; i++)
        add(argv[i]);
    if (input_count == 0)
        die("has no input", argv[2]);
    signal(SIGABRT, on_fault);
    signal(SIGSEGV, on_fault);
    for (size_t i = 0; i < input_count; i++) {
        running = inputs[i].path;
        run(inputs[i].bytes, inputs[i].length);
    }
    for (copy_number = 1; copy_number <= copies; copy_number++) {
        const struct input *from = &inputs[seeded_below(&seed, (uint32_t)input_count)];
        size_t length = from->length;

        running = from->path;
        memcpy(bytes, from->bytes, length);
        for (uint32_t changes = 1 + seeded_below(&seed, 4); changes > 0; changes--)
            length = change(&seed, bytes, length);
        run(bytes, length);
    }
    printf("%zu inputs, %lu changed copies\n", input_count, copies);
    for (size_t i = 0; i < input_count; i++) {
        free(inputs[i].path);
        free(inputs[i].bytes);
    }
    return 0;
}
