"""The functions of a C export, each for one kind of layer: loops that are the definition.

Images are arrays of floats, row by row, channels last: row i, column j, channel k is x[(i * w + j) * c + k]. Where a
function reads and writes different arrays, x is the input and y the output.
"""

FUNCTIONS = {
    "rescale": """/* x = scale * x + offset */
static void rescale(float *x, int n, float scale, float offset)
{
    for (int i = 0; i < n; i++)
        x[i] = scale * x[i] + offset;
}
""",
    "conv2d": """/* Each output is the dot product of a window and a filter; W[row][column][channel][filter]. */
static void conv2d(const float *x, int h, int w, int c, float *y, int out_h, int out_w, int filters,
                   int k_h, int k_w, int stride_h, int stride_w, int top, int left, const float *W, const float *b)
{
    for (int i = 0; i < out_h; i++)
        for (int j = 0; j < out_w; j++, y += filters) {
            for (int f = 0; f < filters; f++)
                y[f] = b ? b[f] : 0.0f;
            for (int p = 0; p < k_h; p++)
                for (int q = 0; q < k_w; q++) {
                    int row = i * stride_h - top + p, column = j * stride_w - left + q;
                    if (row < 0 || row >= h || column < 0 || column >= w)
                        continue; /* a zero of the padding */
                    for (int k = 0; k < c; k++) {
                        float pixel = x[(row * w + column) * c + k];
                        const float *weights = W + ((p * k_w + q) * c + k) * filters;
                        for (int f = 0; f < filters; f++)
                            y[f] += pixel * weights[f];
                    }
                }
        }
}
""",
    "depthwise_conv2d": """/* Each channel has m filters of its own; W[row][column][channel][filter]. */
static void depthwise_conv2d(const float *x, int h, int w, int c, float *y, int out_h, int out_w, int m,
                             int k_h, int k_w, int stride_h, int stride_w, int top, int left,
                             const float *W, const float *b)
{
    for (int i = 0; i < out_h; i++)
        for (int j = 0; j < out_w; j++, y += c * m) {
            for (int f = 0; f < c * m; f++)
                y[f] = b ? b[f] : 0.0f;
            for (int p = 0; p < k_h; p++)
                for (int q = 0; q < k_w; q++) {
                    int row = i * stride_h - top + p, column = j * stride_w - left + q;
                    if (row < 0 || row >= h || column < 0 || column >= w)
                        continue; /* a zero of the padding */
                    for (int f = 0; f < c * m; f++)
                        y[f] += x[(row * w + column) * c + f / m] * W[(p * k_w + q) * c * m + f];
                }
        }
}
""",
    "max_pool2d": """/* The largest number of each window. */
static void max_pool2d(const float *x, int h, int w, int c, float *y, int out_h, int out_w,
                       int k_h, int k_w, int stride_h, int stride_w, int top, int left)
{
    for (int i = 0; i < out_h; i++)
        for (int j = 0; j < out_w; j++, y += c)
            for (int k = 0; k < c; k++) {
                y[k] = -INFINITY;
                for (int p = 0; p < k_h; p++)
                    for (int q = 0; q < k_w; q++) {
                        int row = i * stride_h - top + p, column = j * stride_w - left + q;
                        if (row < 0 || row >= h || column < 0 || column >= w)
                            continue;
                        if (x[(row * w + column) * c + k] > y[k])
                            y[k] = x[(row * w + column) * c + k];
                    }
            }
}
""",
    "avg_pool2d": """/* The mean of each window, the padding not counted. */
static void avg_pool2d(const float *x, int h, int w, int c, float *y, int out_h, int out_w,
                       int k_h, int k_w, int stride_h, int stride_w, int top, int left)
{
    for (int i = 0; i < out_h; i++)
        for (int j = 0; j < out_w; j++, y += c)
            for (int k = 0; k < c; k++) {
                float sum = 0.0f;
                int count = 0;
                for (int p = 0; p < k_h; p++)
                    for (int q = 0; q < k_w; q++) {
                        int row = i * stride_h - top + p, column = j * stride_w - left + q;
                        if (row < 0 || row >= h || column < 0 || column >= w)
                            continue;
                        sum += x[(row * w + column) * c + k];
                        count++;
                    }
                y[k] = sum / (float)count;
            }
}
""",
    "global_avg_pool2d": """/* The mean of each channel. */
static void global_avg_pool2d(const float *x, int pixels, int c, float *y)
{
    for (int k = 0; k < c; k++) {
        double sum = 0.0;
        for (int i = 0; i < pixels; i++)
            sum += x[i * c + k];
        y[k] = (float)(sum / pixels);
    }
}
""",
    "pad2d": """/* Zeros around the image. */
static void pad2d(const float *x, int h, int w, int c, float *y, int out_h, int out_w, int top, int left)
{
    for (int i = 0; i < out_h; i++)
        for (int j = 0; j < out_w; j++)
            for (int k = 0; k < c; k++) {
                int row = i - top, column = j - left;
                int inside = row >= 0 && row < h && column >= 0 && column < w;
                *y++ = inside ? x[(row * w + column) * c + k] : 0.0f;
            }
}
""",
    "dense": """/* y = x W + b; W[feature][unit] */
static void dense(const float *x, int features, float *y, int units, const float *W, const float *b)
{
    for (int j = 0; j < units; j++)
        y[j] = b ? b[j] : 0.0f;
    for (int i = 0; i < features; i++)
        for (int j = 0; j < units; j++)
            y[j] += x[i] * W[i * units + j];
}
""",
    "batch_norm": """/* Mean 0 and variance 1 as measured in training, then scaled and shifted. */
static void batch_norm(float *x, int n, int c, const float *gamma, const float *beta, const float *mean,
                       const float *var, float epsilon)
{
    for (int i = 0; i < n; i++) {
        int k = i % c;
        x[i] = gamma[k] * ((x[i] - mean[k]) / sqrtf(var[k] + epsilon)) + beta[k];
    }
}
""",
    "relu": """static void relu(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = x[i] > 0.0f ? x[i] : 0.0f;
}
""",
    "leaky_relu": """static void leaky_relu(float *x, int n, float slope)
{
    for (int i = 0; i < n; i++)
        x[i] = x[i] > 0.0f ? x[i] : slope * x[i];
}
""",
    "elu": """static void elu(float *x, int n, float alpha)
{
    for (int i = 0; i < n; i++)
        x[i] = x[i] > 0.0f ? x[i] : alpha * expm1f(x[i]);
}
""",
    "sigmoid": """static void sigmoid(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = 1.0f / (1.0f + expf(-x[i]));
}
""",
    "silu": """static void silu(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = x[i] / (1.0f + expf(-x[i]));
}
""",
    "tanh_layer": """static void tanh_layer(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = tanhf(x[i]);
}
""",
    "gelu": """/* x times the distribution function of the standard normal distribution */
static void gelu(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678f));
}
""",
    "add": """static void add(float *x, const float *other, int n)
{
    for (int i = 0; i < n; i++)
        x[i] += other[i];
}
""",
    "copy": """static void copy(const float *x, float *y, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = x[i];
}
""",
    "softmax": """/* Probabilities over each row of c numbers. */
static void softmax(float *x, int n, int c)
{
    for (float *end = x + n; x < end; x += c) {
        float largest = x[0], sum = 0.0f;
        for (int k = 1; k < c; k++)
            largest = x[k] > largest ? x[k] : largest;
        for (int k = 0; k < c; k++)
            sum += x[k] = expf(x[k] - largest);
        for (int k = 0; k < c; k++)
            x[k] /= sum;
    }
}
""",
}
