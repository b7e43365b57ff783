/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a storm looked like, for people and for programs, see fleet.h: a line of text, JSON, and
 * a drawing with one panel per storm: repaired BMCs and donors' load over time. Called by the
 * programs when storms are over.
 */
#include "tests/sim/fleet.h"

#define PANEL_WIDTH  560
#define PANEL_HEIGHT 260
#define LEFT         60
#define TOP          40
#define PLOT_WIDTH   430
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
            "#   bound %.2f s, 99 %% at %.2f times it; discovery %.1f a recipient (most %u); "
            "sessions %.1f a recipient; busy answers %llu\n",
            r->bound99, r->p99 / r->bound99, r->discovery, (unsigned)r->discovery_most, r->sessions,
            (unsigned long long)r->busy);
    fprintf(out,
            "#   peak of a donor: %llu of %u bytes/s, %u of %u transfers; wire %llu bytes, data "
            "%llu, floor %llu (%.3f); wrong blocks %llu; %llu events\n",
            (unsigned long long)r->peak_egress, FLEET_CAP_BYTES, (unsigned)r->peak_transfers,
            FLEET_CAP_TRANSFERS, (unsigned long long)r->bytes, (unsigned long long)r->payload,
            (unsigned long long)r->floor, (double)r->payload / (double)r->floor,
            (unsigned long long)r->wrong, (unsigned long long)r->events);
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
            "   \"discovery_mean\": %.3f, \"discovery_most\": %u, \"sessions_mean\": %.3f, "
            "\"busy_answers\": %llu,\n",
            r->discovery, (unsigned)r->discovery_most, r->sessions, (unsigned long long)r->busy);
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

static void mark(FILE *out, const struct fleet_result *r, double seconds, const char *text,
                 const char *colour)
{
    double end = (double)r->point_count * r->bin_ms / 1000;
    double x = LEFT + PLOT_WIDTH * seconds / end;

    if (seconds <= 0 || seconds > end)
        return;
    fprintf(out,
            "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"%s\" "
            "stroke-dasharray=\"3 3\"/><text x=\"%.1f\" y=\"%d\" font-size=\"9\" fill=\"%s\">%s "
            "%.1f s</text>\n",
            x, x, TOP, TOP + PLOT_HEIGHT, colour, x + 2, TOP + 10, colour, text, seconds);
}

static void panel(FILE *out, const struct fleet_result *r, unsigned x, unsigned y)
{
    const struct fleet_options *o = &r->options;
    double most = 1;

    for (uint32_t i = 0; i < r->point_count; i++)
        if ((double)r->points[i].bytes > most)
            most = (double)r->points[i].bytes;
    fprintf(out, "<g transform=\"translate(%u %u)\">\n", x, y);
    fprintf(out,
            "<text x=\"%d\" y=\"18\" font-size=\"12\">%u recipients, %u seeds, %s, loss %u.%u "
            "%%</text>\n",
            LEFT, (unsigned)o->nodes, (unsigned)o->seeds, load_name(r), (unsigned)o->loss / 10,
            (unsigned)o->loss % 10);
    fprintf(out,
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#888\"/>\n",
            LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT);
    fprintf(out,
            "<text x=\"%d\" y=\"%d\" font-size=\"9\" fill=\"#06c\" text-anchor=\"end\">%u "
            "repaired</text>\n",
            LEFT - 3, TOP + 4, (unsigned)o->nodes);
    fprintf(out,
            "<text x=\"%d\" y=\"%d\" font-size=\"9\" fill=\"#c60\">%.1f MB/s by all "
            "donors</text>\n",
            LEFT + PLOT_WIDTH + 3, TOP + 4, most / r->bin_ms / 1000);
    fprintf(out,
            "<text x=\"%d\" y=\"%d\" font-size=\"9\">0 s</text><text x=\"%d\" y=\"%d\" "
            "font-size=\"9\" text-anchor=\"end\">%.1f s</text>\n",
            LEFT, TOP + PLOT_HEIGHT + 12, LEFT + PLOT_WIDTH, TOP + PLOT_HEIGHT + 12,
            (double)r->point_count * r->bin_ms / 1000);
    curve(out, r, true, most);
    curve(out, r, false, o->nodes);
    mark(out, r, r->p99, "99 %", "#06c");
    mark(out, r, r->bound99, "bound", "#080");
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
