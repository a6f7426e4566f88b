/* int8 RNN, LSTM and GRU in C, for the file mode of the conformance suite: it knows nothing of the package.
 *
 *   cc -O2 -ffp-contract=off -o recurrent conformance/examples/recurrent.c -lm
 *   ncnn-assay conformance run --suite recurrent --adapter file --rounding reference -- ./recurrent
 *
 * It is called as `recurrent net.param net.bin in0=in0.npy out0=out0.npy ...`: inputs are the files that exist.
 * -ffp-contract=off keeps the compiler from fusing a product and a sum: each float step is rounded by itself. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BLOBS = 3, MOST_DIMS = 4, LINE = 4096 };

typedef struct {
    char name[64];
    int dims, shape[MOST_DIMS];
    size_t count;
    float *data;
} Blob;

static void fail(const char *message, const char *detail) {
    fprintf(stderr, "%s %s\n", message, detail);
    exit(1);
}

static void *allocate(size_t size) {
    void *memory = calloc(size ? size : 1, 1);
    if (!memory) fail("out of", "memory");
    return memory;
}

static Blob make_blob(int dims, int first, int second) {
    Blob blob = {.dims = dims, .shape = {first, second}, .count = (size_t)first * (dims > 1 ? second : 1)};
    blob.data = allocate(blob.count * sizeof(float));
    return blob;
}

/* The shape of a .npy file stands in its header: 'shape': (3, 4), */
static int read_npy(const char *path, Blob *blob) {
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    unsigned char head[10];
    if (fread(head, 1, 10, file) != 10) fail("no .npy file:", path);
    size_t length = head[8] | head[9] << 8;
    char *text = allocate(length + 1);
    if (fread(text, 1, length, file) != length) fail("cut short:", path);
    const char *at = strstr(text, "'shape': (");
    if (!at || !strstr(text, "<f4")) fail("not binary32:", path);
    at += 10;
    blob->dims = 0;
    blob->count = 1;
    while (*at != ')' && blob->dims < MOST_DIMS) {
        char *end;
        blob->shape[blob->dims] = (int)strtol(at, &end, 10);
        blob->count *= (size_t)blob->shape[blob->dims++];
        for (at = end; *at == ',' || *at == ' '; at++) {}
    }
    free(text);
    blob->data = allocate(blob->count * sizeof(float));
    if (fread(blob->data, sizeof(float), blob->count, file) != blob->count) fail("cut short:", path);
    fclose(file);
    return 1;
}

static void write_npy(const char *path, const Blob *blob) {
    char text[119], shape[64];
    snprintf(shape, sizeof shape, blob->dims > 1 ? "(%d, %d)" : "(%d,)", blob->shape[0], blob->shape[1]);
    int used = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }", shape);
    memset(text + used, ' ', sizeof text - (size_t)used);
    text[117] = '\n';
    FILE *file = fopen(path, "wb");
    if (!file) fail("cannot write", path);
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, file);
    fwrite(text, 1, 118, file);
    fwrite(blob->data, sizeof(float), blob->count, file);
    if (fclose(file)) fail("cannot write", path);
}

/* Records of the .bin file: int8 codes and float weights behind a tag, scales without one; padded to four bytes. */
static void *take(FILE *file, size_t count, size_t size, int tagged) {
    size_t bytes = count * size, padded = (bytes + 3) / 4 * 4;
    if (tagged && fseek(file, 4, SEEK_CUR)) fail("net.bin is", "cut short");
    void *data = allocate(padded);
    if (fread(data, 1, padded, file) != padded) fail("net.bin is", "cut short");
    return data;
}

static float sigmoid(float v) { return 1.0f / (1.0f + (float)exp((double)-v)); }
static float tangent(float v) { return (float)tanh((double)v); }

/* Codes under the scale 127 / absmax, halves away from zero; returns 1 / scale, or 0 for a row of zeros. */
static float quantize(const float *values, int count, int8_t *codes) {
    float largest = 0.0f;
    for (int i = 0; i < count; i++) largest = fabsf(values[i]) > largest ? fabsf(values[i]) : largest;
    float scale = largest > 0.0f ? 127.0f / largest : INFINITY;
    memset(codes, 0, (size_t)count);
    if (isinf(scale)) return 0.0f;
    for (int i = 0; i < count; i++) codes[i] = (int8_t)round((double)(values[i] * scale));
    return 1.0f / scale;
}

/* Exact sums times (1 / scale of the values * 1 / scale of the row). */
static void product(const float *values, int count, const int8_t *weights, const float *scales, int rows, float *out) {
    int8_t *codes = allocate((size_t)count);
    float descale = quantize(values, count, codes);
    for (int row = 0; row < rows; row++) {
        int32_t sum = 0;
        for (int i = 0; i < count; i++) sum += codes[i] * weights[(size_t)row * count + i];
        out[row] = (float)sum * (descale * (1.0f / scales[row]));
    }
    free(codes);
}

typedef struct {
    char type;                       /* R, L or G */
    int gates, bias_rows, units, n;  /* units of a gate; n outputs: fewer with a projection */
    const float *bias, *projection;
} Layer;

/* ax and ah are the two products; hidden and cell are read and written. */
static void step(const Layer *layer, const float *ax, const float *ah, float *hidden, float *cell) {
    int u = layer->units;
    float *out = allocate((size_t)u * sizeof(float));
    for (int q = 0; q < u; q++) {
        float sums[4];
        for (int g = 0; g < layer->gates; g++) sums[g] = layer->bias[g * u + q] + ax[g * u + q] + ah[g * u + q];
        if (layer->type == 'R') {
            out[q] = tangent(sums[0]);
        } else if (layer->type == 'G') {
            float reset = sigmoid(sums[0]), update = sigmoid(sums[1]);
            float inner = layer->bias[2 * u + q] + reset * (layer->bias[3 * u + q] + ah[2 * u + q]);
            out[q] = (1.0f - update) * tangent(inner + ax[2 * u + q]) + update * hidden[q];
        } else {
            cell[q] = sigmoid(sums[1]) * cell[q] + sigmoid(sums[0]) * tangent(sums[3]);
            out[q] = sigmoid(sums[2]) * tangent(cell[q]);
        }
    }
    for (int p = 0; p < layer->n; p++) {
        hidden[p] = layer->projection ? 0.0f : out[p];
        for (int q = 0; layer->projection && q < u; q++) hidden[p] += out[q] * layer->projection[p * u + q];
    }
    free(out);
}

/* The value of `key=` among the words behind the blobs, or `otherwise`. */
static int parameter(char words[][64], int count, int key, int otherwise) {
    for (int i = 0; i < count; i++)
        if (atoi(words[i]) == key && strchr(words[i], '=')) return atoi(strchr(words[i], '=') + 1);
    return otherwise;
}

int main(int argc, char **argv) {
    if (argc < 4) fail("usage:", "recurrent net.param net.bin BLOB=FILE...");
    FILE *text = fopen(argv[1], "r"), *data = fopen(argv[2], "rb");
    if (!text || !data) fail("cannot read", argv[1]);
    char line[LINE], last[LINE] = "", words[32][64];
    while (fgets(line, sizeof line, text)) strcpy(last, line);
    int count = 0;
    for (char *word = strtok(last, " \n"); word && count < 32; word = strtok(NULL, " \n"))
        snprintf(words[count++], 64, "%s", word);
    int bottoms = atoi(words[2]), tops = atoi(words[3]), skip = 4 + bottoms + tops;
    Blob in[MOST_BLOBS] = {0};
    for (int i = 3; i < argc; i++) {
        char *file = strchr(argv[i], '=');
        if (!file) fail("no file for", argv[i]);
        for (int b = 0; b < bottoms; b++)
            if (!strncmp(argv[i], words[4 + b], (size_t)(file - argv[i])) && !read_npy(file + 1, &in[b]))
                fail("cannot read", file + 1);
    }
    Layer layer = {.type = words[0][0]};
    layer.gates = layer.type == 'R' ? 1 : layer.type == 'G' ? 3 : 4;
    layer.bias_rows = layer.type == 'R' ? 1 : 4;
    layer.n = parameter(words + skip, count - skip, 0, 0);
    layer.units = layer.type == 'L' ? parameter(words + skip, count - skip, 3, layer.n) : layer.n;
    int direction = parameter(words + skip, count - skip, 2, 0), directions = direction == 2 ? 2 : 1;
    int rows = layer.gates * layer.units, n = layer.n, u = layer.units;
    int size = in[0].shape[in[0].dims - 1], steps = (int)(in[0].count / (size_t)size);
    size_t all = (size_t)directions * (size_t)rows;
    const int8_t *wx = take(data, all * (size_t)size, 1, 1);
    const float *bias = take(data, (size_t)(directions * layer.bias_rows * u), 4, 1);
    const int8_t *wh = take(data, all * (size_t)n, 1, 1);
    const float *wr = n != u ? take(data, (size_t)(directions * n * u), 4, 1) : NULL;
    const float *sx = take(data, all, 4, 0), *sh = take(data, all, 4, 0);
    Blob out[MOST_BLOBS] = {make_blob(2, steps, directions * n), make_blob(2, directions, n), make_blob(2, directions, u)};
    for (int s = 1; s < bottoms; s++) { /* final states have the shape of the initial ones */
        memcpy(out[s].data, in[s].data, in[s].count * sizeof(float));
        out[s].dims = in[s].dims;
        memcpy(out[s].shape, in[s].shape, sizeof in[s].shape);
    }
    float *ax = allocate((size_t)rows * sizeof(float)), *ah = allocate((size_t)rows * sizeof(float));
    for (int d = 0; d < directions; d++) {
        float *hidden = out[1].data + d * n, *cell = out[2].data + d * u;
        layer.bias = bias + d * layer.bias_rows * u;
        layer.projection = wr ? wr + d * n * u : NULL;
        for (int k = 0; k < steps; k++) {
            int t = direction == 1 || d == 1 ? steps - 1 - k : k;
            product(in[0].data + (size_t)t * size, size, wx + (size_t)d * rows * size, sx + d * rows, rows, ax);
            product(hidden, n, wh + (size_t)d * rows * n, sh + d * rows, rows, ah);
            step(&layer, ax, ah, hidden, cell);
            memcpy(out[0].data + (size_t)t * directions * n + d * n, hidden, (size_t)n * sizeof(float));
        }
    }
    for (int i = 3; i < argc; i++)
        for (int o = 0; o < tops; o++) {
            char *file = strchr(argv[i], '=');
            if (!strncmp(argv[i], words[4 + bottoms + o], (size_t)(file - argv[i]))) write_npy(file + 1, &out[o]);
        }
    return 0;
}
