/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover image` and its subcommands, each in a file by what it is for: making (image.c),
 * signing (image-sign.c), looking (image-show.c).
 */
#ifndef FWR_TOOLS_IMAGE_H
#define FWR_TOOLS_IMAGE_H

int tool_image(int argc, char **argv);

int tool_image_digest(int argc, char **argv);
int tool_image_sign(int argc, char **argv);
int tool_image_attach(int argc, char **argv);

int tool_image_inspect(int argc, char **argv);
int tool_image_verify(int argc, char **argv);
int tool_image_diff(int argc, char **argv);

#endif
