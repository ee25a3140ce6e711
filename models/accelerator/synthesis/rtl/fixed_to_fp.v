// A two's-complement number with FRACTION bits behind the point, rounded to the format (1, E, M).
module fixed_to_fp #(
    parameter W = 16,
    parameter FRACTION = 0,
    parameter E = 5,
    parameter M = 10,
    parameter SUBNORMALS = 1,
    parameter BIAS = 15,
    parameter ROUNDING = 0,  // 0 nearest, ties to even; 1 toward zero; 2 stochastic
    parameter R = 1          // random bits of a stochastic rounding
) (
    input [W-1:0] x,
    input [R-1:0] random,
    output [E+M:0] y
);
    localparam FIRST = W - 1 - FRACTION + BIAS;  // biased exponent of a magnitude's first bit
    localparam SPAN = FIRST < 0 ? -FIRST : FIRST;
    localparam X = $clog2(SPAN + W + 1) + 2;
    wire [W-1:0] magnitude = x[W-1] ? -x : x;
    wire signed [X-1:0] first = FIRST;
    fp_round #(
        .E(E), .M(M), .SUBNORMALS(SUBNORMALS), .ROUNDING(ROUNDING), .R(R), .W(W), .X(X),
        .BELOW(SUBNORMALS ? FIRST < 1 : FIRST - W < 0)
    ) round (
        .sign(x[W-1]), .magnitude(magnitude), .sticky(1'b0), .exponent(first),
        .random(random), .result(y)
    );
endmodule
