// Product of two numbers, rounded to the format (1, E, M).
module fp_mul #(
    parameter EA = 4,
    parameter MA = 3,
    parameter SUBNORMALSA = 1,
    parameter EB = 4,
    parameter MB = 3,
    parameter SUBNORMALSB = 1,
    parameter E = 5,
    parameter M = 10,
    parameter SUBNORMALS = 1,
    parameter BIAS = 1,      // bias A + bias B - the result's
    parameter ROUNDING = 0,  // 0 nearest, ties to even; 1 toward zero; 2 stochastic
    parameter R = 1          // random bits of a stochastic rounding
) (
    input [EA+MA:0] a,
    input [EB+MB:0] b,
    input [R-1:0] random,
    output [E+M:0] product
);
    localparam P = MA + MB + 2;
    localparam XP = 2 + (EA > EB ? EA : EB) + $clog2(P);
    localparam SPAN = BIAS < 0 ? -BIAS : BIAS;
    localparam X = (XP > $clog2(SPAN + 1) + 1 ? XP : $clog2(SPAN + 1) + 1) + 1;

    wire sign;
    wire signed [XP-1:0] exponent;
    wire [P-1:0] significand;
    fp_product #(
        .EA(EA), .MA(MA), .SUBNORMALSA(SUBNORMALSA), .EB(EB), .MB(MB), .SUBNORMALSB(SUBNORMALSB),
        .NORMALISE(0)  // the rounding normalises
    ) multiply (.a(a), .b(b), .sign(sign), .exponent(exponent), .significand(significand));

    wire signed [X-1:0] first = exponent - BIAS;
    fp_round #(
        .E(E), .M(M), .SUBNORMALS(SUBNORMALS), .ROUNDING(ROUNDING), .R(R), .W(P), .X(X),
        .LEADING(SUBNORMALSA || SUBNORMALSB ? P - 1 : 1)
    ) round (
        .sign(sign), .magnitude(significand), .sticky(1'b0), .exponent(first),
        .random(random), .result(product)
    );
endmodule
