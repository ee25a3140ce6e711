// round(accumulator + a·b), the product exact: one rounding, to the accumulator's format.
module fp_mac #(
    parameter EA = 4,
    parameter MA = 3,
    parameter SUBNORMALSA = 1,
    parameter EB = 4,
    parameter MB = 3,
    parameter SUBNORMALSB = 1,
    parameter E = 5,
    parameter M = 10,
    parameter SUBNORMALS = 1,
    parameter BIAS = -1,     // bias A + bias B - the accumulator's
    parameter ROUNDING = 0,  // 0 nearest, ties to even; 1 toward zero; 2 stochastic
    parameter R = 1          // random bits of a stochastic rounding
) (
    input [EA+MA:0] a,
    input [EB+MB:0] b,
    input [E+M:0] accumulator,
    input [R-1:0] random,
    output [E+M:0] sum
);
    localparam P = MA + MB + 2;
    localparam XP = 2 + (EA > EB ? EA : EB) + $clog2(P);
    localparam SPAN = BIAS < 0 ? -BIAS : BIAS;
    localparam X = (XP > $clog2(SPAN + 1) + 1 ? XP : $clog2(SPAN + 1) + 1) + 1;

    wire sign;
    wire signed [XP-1:0] exponent;
    wire [P-1:0] significand;
    fp_product #(
        .EA(EA), .MA(MA), .SUBNORMALSA(SUBNORMALSA), .EB(EB), .MB(MB), .SUBNORMALSB(SUBNORMALSB)
    ) multiply (.a(a), .b(b), .sign(sign), .exponent(exponent), .significand(significand));

    wire signed [X-1:0] addend_exponent = exponent - BIAS;
    fp_accumulate #(
        .E(E), .M(M), .SUBNORMALS(SUBNORMALS), .ROUNDING(ROUNDING), .R(R), .P(P), .X(X)
    ) accumulate (
        .accumulator(accumulator), .sign(sign), .exponent(addend_exponent),
        .significand(significand), .random(random), .sum(sum)
    );
endmodule
