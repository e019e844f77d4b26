/* `dray health`: asks the worker on this host whether it is alive. For a container's health check.
 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#define TIMEOUT_MS 4000
#define ANSWER_MAX 4096

static size_t on_data(char *data, size_t size, size_t n, void *arg) {
    buf_add(arg, data, size * n);
    return size * n;
}

/* Makes the URL to ask. A server that listens on every address is asked on loopback. */
static void url_of(const char *listen, const char *path, char url[static 320]) {
    const char *port = strrchr(listen, ':');
    if (strncmp(listen, "0.0.0.0:", 8) == 0)
        snprintf(url, 320, "http://127.0.0.1%s%s", port, path);
    else if (strncmp(listen, "[::]:", 5) == 0)
        snprintf(url, 320, "http://[::1]%s%s", port, path);
    else
        snprintf(url, 320, "http://%.256s%s", listen, path);
}

static int fetch(const struct verb *self, const char *url) {
    struct buf answer;
    long status = 0;
    CURL *c = curl_easy_init();
    if (c == NULL)
        return cli_fail(self, "out of memory");
    buf_init(&answer, ANSWER_MAX);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &answer);
    CURLcode rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    int code = rc == CURLE_OK && status == 200 ? EXIT_FINE : EXIT_FAILED;
    if (rc != CURLE_OK)
        cli_fail(self, "%s: %s", url, curl_easy_strerror(rc));
    else
        fputs(buf_cstr(&answer), code == EXIT_FINE ? stdout : stderr);
    curl_easy_cleanup(c);
    buf_deinit(&answer);
    return code;
}

static int ask(const struct verb *self, const char *config_path, const char *path) {
    char url[320];
    struct config *config = cli_config(self, config_path, true);
    if (config == NULL)
        return EXIT_USAGE;
    int code;
    if (strcmp(config->admin_listen, "off") == 0) {
        code = cli_usage(self, "[admin] listen is off: there is nobody to ask");
    } else {
        url_of(config->admin_listen, path, url);
        curl_global_init(CURL_GLOBAL_DEFAULT);
        code = fetch(self, url);
        curl_global_cleanup();
    }
    config_unref(config);
    return code;
}

static int run(const struct verb *self, int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"ready", no_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *config = NULL, *path = "/healthz";
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (c == 'h')
            return cli_help(self);
        if (c == 'c')
            config = optarg;
        else if (c == 'r')
            path = "/readyz";
        else
            return cli_usage(self, "unknown option");
    }
    if (optind < argc)
        return cli_usage(self, "unexpected argument '%s'", argv[optind]);
    return ask(self, config, path);
}

const struct verb verb_health = {
    .name = "health",
    .arguments = "[-c FILE] [--ready]",
    .summary = "ask the worker on this host whether it is alive",
    .help = "Asks /healthz at [admin] listen and prints the answer; exit code 0, or 1 where the "
            "worker is\n"
            "unhealthy or does not answer within 4 seconds.\n"
            "\n"
            "  -c FILE   configuration (default: $DRAY_CONFIG, ./dray.ini, /etc/dray/dray.ini)\n"
            "  --ready   ask /readyz instead: does it take orders?\n",
    .run = run,
};
