// A number of the format (1, E, M) rounded to two's complement with FRACTION bits behind the
// point; what does not fit saturates.
module fp_to_fixed #(
    parameter E = 5,
    parameter M = 10,
    parameter SUBNORMALS = 1,
    parameter BIAS = 15,
    parameter W = 16,
    parameter FRACTION = 0,
    parameter ROUNDING = 0,  // 0 nearest, ties to even; 1 toward zero; 2 stochastic
    parameter R = 1          // random bits of a stochastic rounding
) (
    input [E+M:0] x,
    input [R-1:0] random,
    output [W-1:0] y
);
    localparam OFFSET = FRACTION - BIAS;
    localparam SPAN = OFFSET < 0 ? -OFFSET : OFFSET;
    localparam X = $clog2(SPAN + (1 << E)) + 2;
    wire sign;
    wire [E-1:0] field;
    wire [M:0] significand;
    fp_unpack #(.E(E), .M(M), .SUBNORMALS(SUBNORMALS)) unpack (
        .code(x), .sign(sign), .exponent(field), .significand(significand)
    );
    wire signed [X-1:0] shift = $signed({1'b0, field}) + OFFSET;
    fixed_round #(.P(M + 1), .X(X), .W(W), .ROUNDING(ROUNDING), .R(R)) round (
        .sign(sign), .significand(significand), .shift(shift), .random(random), .y(y)
    );
endmodule
