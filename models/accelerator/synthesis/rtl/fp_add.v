// Sum of two numbers of the format (1, E, M), rounded to it.
module fp_add #(
    parameter E = 5,
    parameter M = 10,
    parameter SUBNORMALS = 1,
    parameter ROUNDING = 0,  // 0 nearest, ties to even; 1 toward zero; 2 stochastic
    parameter R = 1          // random bits of a stochastic rounding
) (
    input [E+M:0] a,
    input [E+M:0] b,
    input [R-1:0] random,
    output [E+M:0] sum
);
    // bits below the grid that the rounding looks at, and one for the normalisation
    localparam G = ROUNDING == 0 ? 2 : ROUNDING == 2 ? R + 1 : 1;

    wire swap = b[E+M-1:0] > a[E+M-1:0];
    wire [E+M:0] big = swap ? b : a;
    wire [E+M:0] little = swap ? a : b;
    wire big_normal = |big[E+M-1:M];
    wire little_normal = |little[E+M-1:M];
    wire big_kept = SUBNORMALS ? 1'b1 : big_normal;
    wire little_kept = SUBNORMALS ? 1'b1 : little_normal;

    // subnormal numbers have the exponent of the smallest normal ones
    wire [E-1:0] big_exponent = {big[E+M-1:M+1], big[M] | ~big_normal};
    wire [E-1:0] little_exponent = {little[E+M-1:M+1], little[M] | ~little_normal};

    wire sign, sticky;
    wire [M+1+G:0] magnitude;
    significand_add #(.P(M + 1), .X(E), .G(G)) add (
        .big_sign(big[E+M]), .big({big_normal, big[M-1:0] & {M{big_kept}}}),
        .little_sign(little[E+M]), .little({little_normal, little[M-1:0] & {M{little_kept}}}),
        .distance(big_exponent - little_exponent),
        .sign(sign), .magnitude(magnitude), .sticky(sticky)
    );

    wire signed [E+1:0] first = {2'b0, big_exponent} + 1;  // the carry's
    fp_round #(
        .E(E), .M(M), .SUBNORMALS(SUBNORMALS), .ROUNDING(ROUNDING), .R(R),
        .W(M + 2 + G), .X(E + 2), .BELOW(0)
    ) round (
        .sign(sign), .magnitude(magnitude), .sticky(sticky), .exponent(first),
        .random(random), .result(sum)
    );
endmodule
