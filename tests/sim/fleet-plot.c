/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a storm looked like, for people and for programs, see fleet.h: a line of text, JSON, and
 * a drawing with one panel per storm: repaired BMCs and donors' load over time. Called by the
 * programs when storms are over.
 */
#include "tests/sim/fleet.h"

#define PANEL_WIDTH  560
#define PANEL_HEIGHT 260
#define LEFT         40
#define TOP          52
#define PLOT_WIDTH   480
#define PLOT_HEIGHT  170

static const char *load_name(const struct fleet_result *r)
{
    return r->options.whole ? "4 MiB, all of it" : "64 KiB of 16 MiB";
}

void fleet_print(FILE *out, const struct fleet_result *r)
{
    const struct fleet_options *o = &r->options;

    fprintf(out,
            "# %u recipients, %u seed donors, %s, loss %u.%u %%: repaired %u, 50 %% in %.2f s, "
            "99 %% in %.2f s, all in %.2f s\n",
            (unsigned)o->nodes, (unsigned)o->seeds, load_name(r), (unsigned)o->loss / 10,
            (unsigned)o->loss % 10, (unsigned)r->repaired, r->p50, r->p99, r->p100);
    fprintf(out,
            "#   bound %.2f s, 99 %% at %.2f times it; discovery %.1f a recipient (%.1f of it "
            "calls, most "
            "%u); sessions %.1f a recipient; busy answers %llu\n",
            r->bound99, r->p99 / r->bound99, r->discovery, r->calls, (unsigned)r->discovery_most,
            r->sessions, (unsigned long long)r->busy);
    fprintf(out,
            "#   peak of a donor: %llu of %u bytes/s, %u of %u transfers; wire %llu bytes, data "
            "%llu, floor %llu (%.3f); wrong blocks %llu; %llu events\n",
            (unsigned long long)r->peak_egress, FLEET_CAP_BYTES, (unsigned)r->peak_transfers,
            FLEET_CAP_TRANSFERS, (unsigned long long)r->bytes, (unsigned long long)r->payload,
            (unsigned long long)r->floor, (double)r->payload / (double)r->floor,
            (unsigned long long)r->wrong, (unsigned long long)r->events);
    fflush(out);
}

static const char *met(bool good)
{
    return good ? "met" : "MISSED";
}

void fleet_table(FILE *out, const struct fleet_result *results, size_t count)
{
    fprintf(out,
            "# targets: 99 %% within %.0f times the bound and at most %.0f discovery messages a "
            "recipient at a loss of 1 %%; always: everybody repaired, no donor above %u transfers "
            "and %u bytes/s\n",
            FLEET_TARGET_BOUND, FLEET_TARGET_ASKING, FLEET_CAP_TRANSFERS, FLEET_CAP_BYTES);
    fputs("# load   loss %  seeds   repaired    50 % s    99 % s     100 % s  bound s  times "
          "discovery  peak B/s  transfers  verdict\n",
          out);
    for (size_t i = 0; i < count; i++) {
        const struct fleet_result *r = &results[i];
        const struct fleet_options *o = &r->options;

        fprintf(out, "# %-6s %6.1f  %5u %10u %9.2f %9.2f %11.2f %8.2f %6.2f %9.1f %9llu %10u  %s\n",
                o->whole ? "4 MiB" : "64 KiB", o->loss / 10.0, (unsigned)o->seeds,
                (unsigned)r->repaired, r->p50, r->p99, r->p100, r->bound99, r->p99 / r->bound99,
                r->discovery, (unsigned long long)r->peak_egress, (unsigned)r->peak_transfers,
                met(fleet_good(r)));
    }
    fflush(out);
}

/* ---- JSON ---- */

static void json_run(FILE *out, const struct fleet_result *r)
{
    const struct fleet_options *o = &r->options;

    fprintf(out,
            "  {\"recipients\": %u, \"seeds\": %u, \"load\": \"%s\", \"loss_permille\": %u, "
            "\"random_seed\": %llu,\n",
            (unsigned)o->nodes, (unsigned)o->seeds, o->whole ? "4MiB" : "64KiB", (unsigned)o->loss,
            (unsigned long long)o->seed);
    fprintf(out,
            "   \"repaired\": %u, \"failed\": %u, \"p50_s\": %.3f, \"p99_s\": %.3f, \"p100_s\": "
            "%.3f,\n   \"bound_p50_s\": %.3f, \"bound_p99_s\": %.3f, \"bound_p100_s\": %.3f,\n",
            (unsigned)r->repaired, (unsigned)r->failed, r->p50, r->p99, r->p100, r->bound50,
            r->bound99, r->bound100);
    fprintf(out,
            "   \"discovery_mean\": %.3f, \"calls_mean\": %.3f, \"discovery_most\": %u, "
            "\"sessions_mean\": %.3f, "
            "\"busy_answers\": %llu,\n",
            r->discovery, r->calls, (unsigned)r->discovery_most, r->sessions,
            (unsigned long long)r->busy);
    fprintf(out,
            "   \"donor_peak_bytes_per_second\": %llu, \"donor_cap_bytes_per_second\": %u,\n"
            "   \"donor_peak_transfers\": %u, \"donor_cap_transfers\": %u,\n",
            (unsigned long long)r->peak_egress, FLEET_CAP_BYTES, (unsigned)r->peak_transfers,
            FLEET_CAP_TRANSFERS);
    fprintf(out,
            "   \"wire_bytes\": %llu, \"data_bytes\": %llu, \"floor_bytes\": %llu, "
            "\"wrong_blocks\": %llu,\n   \"bin_ms\": %u,\n   \"repaired_over_time\": [",
            (unsigned long long)r->bytes, (unsigned long long)r->payload,
            (unsigned long long)r->floor, (unsigned long long)r->wrong, (unsigned)r->bin_ms);
    for (uint32_t i = 0; i < r->point_count; i++)
        fprintf(out, "%s%u", i ? "," : "", (unsigned)r->points[i].repaired);
    fputs("],\n   \"donor_bytes_over_time\": [", out);
    for (uint32_t i = 0; i < r->point_count; i++)
        fprintf(out, "%s%llu", i ? "," : "", (unsigned long long)r->points[i].bytes);
    fputs("]}", out);
}

bool fleet_plot_json(const char *path, const struct fleet_result *results, size_t count)
{
    FILE *out = fopen(path, "w");

    if (out == NULL)
        return false;
    fputs("{\"storms\": [\n", out);
    for (size_t i = 0; i < count; i++) {
        json_run(out, &results[i]);
        fputs(i + 1 < count ? ",\n" : "\n", out);
    }
    fputs("]}\n", out);
    bool good = !ferror(out);
    return fclose(out) == 0 && good;
}

/* ---- drawing ---- */

static void curve(FILE *out, const struct fleet_result *r, bool load, double most)
{
    fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"",
            load ? "#c60" : "#06c");
    for (uint32_t i = 0; i < r->point_count; i++) {
        double value = load ? (double)r->points[i].bytes : r->points[i].repaired;
        fprintf(out, "%.1f,%.1f ", LEFT + (double)PLOT_WIDTH * (i + 1) / r->point_count,
                TOP + PLOT_HEIGHT - PLOT_HEIGHT * value / most);
    }
    fputs("\"/>\n", out);
}

static void text(FILE *out, double x, double y, unsigned size, const char *colour, bool leftwards)
{
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%u\" fill=\"%s\"%s>", x, y, size, colour,
            leftwards ? " text-anchor=\"end\"" : "");
}

static void mark(FILE *out, const struct fleet_result *r, double seconds, const char *name,
                 const char *colour, unsigned line)
{
    double end = (double)r->point_count * r->bin_ms / 1000;
    double x = LEFT + PLOT_WIDTH * seconds / end;
    bool leftwards = seconds > end / 2;

    if (seconds <= 0 || seconds > end)
        return;
    fprintf(out,
            "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"%s\" "
            "stroke-dasharray=\"3 3\"/>",
            x, x, TOP, TOP + PLOT_HEIGHT, colour);
    text(out, leftwards ? x - 3 : x + 3, TOP + PLOT_HEIGHT / 2.0 + 12 * line, 9, colour, leftwards);
    fprintf(out, "%s %.1f s</text>\n", name, seconds);
}

static void panel(FILE *out, const struct fleet_result *r, unsigned x, unsigned y)
{
    const struct fleet_options *o = &r->options;
    double most = 1;

    for (uint32_t i = 0; i < r->point_count; i++)
        if ((double)r->points[i].bytes > most)
            most = (double)r->points[i].bytes;
    fprintf(out, "<g transform=\"translate(%u %u)\">\n", x, y);
    text(out, LEFT, 20, 12, "#000", false);
    fprintf(out, "%u BMCs, %u seed donors, %s, loss %u.%u %%</text>\n", (unsigned)o->nodes,
            (unsigned)o->seeds, load_name(r), (unsigned)o->loss / 10, (unsigned)o->loss % 10);
    text(out, LEFT, 40, 10, "#06c", false);
    fprintf(out, "repaired: top = %u</text>\n", (unsigned)o->nodes);
    text(out, LEFT + PLOT_WIDTH, 40, 10, "#c60", true);
    fprintf(out, "all donors: top = %.1f MB/s; busiest one: %.2f of %.0f MB/s</text>\n",
            most / r->bin_ms / 1000, (double)r->peak_egress / 1e6, FLEET_CAP_BYTES / 1e6);
    fprintf(out,
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#888\"/>\n",
            LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT);
    for (unsigned i = 0; i <= 4; i++) {
        text(out, LEFT + PLOT_WIDTH * i / 4.0, TOP + PLOT_HEIGHT + 12, 9, "#000", i > 0);
        fprintf(out, "%.1f s</text>\n", (double)r->point_count * r->bin_ms / 4000 * i);
    }
    curve(out, r, true, most);
    curve(out, r, false, o->nodes);
    mark(out, r, r->p99, "99 %", "#06c", 0);
    mark(out, r, r->bound99, "bound of 99 %", "#080", 1);
    fputs("</g>\n", out);
}

bool fleet_plot_svg(const char *path, const struct fleet_result *results, size_t count)
{
    FILE *out = fopen(path, "w");

    if (out == NULL)
        return false;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
            "font-family=\"sans-serif\">\n<rect width=\"100%%\" height=\"100%%\" "
            "fill=\"white\"/>\n",
            2 * PANEL_WIDTH, (count + 1) / 2 * PANEL_HEIGHT);
    for (size_t i = 0; i < count; i++)
        panel(out, &results[i], (unsigned)(i % 2 * PANEL_WIDTH), (unsigned)(i / 2 * PANEL_HEIGHT));
    fputs("</svg>\n", out);
    bool good = !ferror(out);
    return fclose(out) == 0 && good;
}
